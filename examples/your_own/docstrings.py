"""Says whether a docstring is of a class or a function: the encoder MiniLM with a LoRA adapter for each source."""

import torch
from peft import LoraConfig, PeftModel, TaskType, get_peft_model
from transformers import AutoModelForSequenceClassification, AutoTokenizer


def encoder(context):
    """Return the frozen encoder with a new head."""
    place, classes = context.artifacts["encoder"], len(context.classes)
    return AutoModelForSequenceClassification.from_pretrained(place, num_labels=classes, attn_implementation="eager")


def batches(items, context):
    """Yield some items at a time with their tokens."""
    tokenizer = AutoTokenizer.from_pretrained(context.artifacts["encoder"])
    for few in items.batches(32):
        yield few, tokenizer(few["text"].tolist(), padding=True, truncation=True, max_length=32, return_tensors="pt")


def train(items, parts, context):
    """Write an adapter for these items, the head included."""
    settings = LoraConfig(task_type=TaskType.SEQ_CLS, r=4, lora_alpha=8, target_modules=["query", "value"])
    model = get_peft_model(encoder(context), settings).train()
    optimizer = torch.optim.AdamW([each for each in model.parameters() if each.requires_grad], lr=3e-3)
    for epoch in range(context.parameters["epochs"]):
        for few, tokens in batches(items, context):
            loss = model(**tokens, labels=torch.as_tensor(few["label"])).loss
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        context.progress(epoch + 1, context.parameters["epochs"])
    model.save_pretrained(context.out, save_embedding_layers=False)


def predict(parts, items, context):
    """Return the probabilities of a class and of a function, by one source's adapter."""
    model = PeftModel.from_pretrained(encoder(context), parts).eval()
    with torch.inference_mode():
        return torch.cat([model(**tokens).logits.softmax(1) for _, tokens in batches(items, context)])
