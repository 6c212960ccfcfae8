"""Draws the digit that it is asked for: a small diffusers UNet with class labels, one for all contributors."""

import torch
from diffusers import DDIMScheduler, UNet2DModel

SCHEDULE = {"num_train_timesteps": 100, "beta_schedule": "squaredcos_cap_v2"}
BLOCKS = {"down_block_types": ("DownBlock2D", "AttnDownBlock2D"), "up_block_types": ("AttnUpBlock2D", "UpBlock2D")}
SIZES = {"sample_size": 8, "block_out_channels": (32, 64), "layers_per_block": 1, "norm_num_groups": 8}


def tensors(items):
    """Return the pictures, from -1 to 1, and the digit that each shows."""
    return torch.as_tensor(items["image"]).float().unsqueeze(1) / 8 - 1, torch.as_tensor(items["digit"])


def errors(unet, pictures, digits):
    """Return how far each picture's predicted noise is from the noise that was added."""
    times, noise = torch.randint(SCHEDULE["num_train_timesteps"], (len(digits),)), torch.randn_like(pictures)
    noisy = DDIMScheduler(**SCHEDULE).add_noise(pictures, noise, times)
    return (unet(noisy, times, digits).sample - noise).square().mean((1, 2, 3))


def train(items, parts, context):
    """Write a UNet as diffusers does: its weights and its configuration."""
    unet = UNet2DModel(in_channels=1, out_channels=1, num_class_embeds=10, **SIZES, **BLOCKS)
    optimizer = torch.optim.AdamW(unet.parameters(), lr=2e-3)
    pictures, digits = tensors(items)
    for step in range(steps := context.parameters["steps"]):
        rows = torch.randint(len(items), (64,))
        optimizer.zero_grad()
        errors(unet, pictures[rows], digits[rows]).mean().backward()
        optimizer.step()
        context.progress(step + 1, steps)
    unet.save_pretrained(context.out)


def sample(parts, count, context):
    """Return pictures of each digit in turn, from 0 to 1."""
    unet, schedule = UNet2DModel.from_pretrained(parts).eval(), DDIMScheduler(**SCHEDULE)
    schedule.set_timesteps(20)
    pictures, digits = torch.randn(count, 1, 8, 8), torch.arange(count) % 10
    with torch.inference_mode():
        for time in schedule.timesteps:
            pictures = schedule.step(unet(pictures, time, digits).sample, time, pictures).prev_sample
    return pictures.squeeze(1).clamp(-1, 1) / 2 + 0.5


def predict(parts, items, context):
    """Return the error for each picture, which ``measure`` makes one number of."""
    with torch.inference_mode():
        return errors(UNet2DModel.from_pretrained(parts).eval(), *tensors(items))


def measure(answers, items, context):
    """Return how good the generator is: the headline first, better when higher."""
    return {"neg_denoising_error": -answers.mean()}
