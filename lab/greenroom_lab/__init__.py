"""The lab: practice hosts, Vault, registry and image builds. No code outside lab/ depends on it."""
