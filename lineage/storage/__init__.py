"""The truth on disk beside the ledger: objects, manifests and contents."""
