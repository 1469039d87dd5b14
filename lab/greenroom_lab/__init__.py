"""The lab: hosts to practise on, Vault, registry and image builds. Nothing outside lab/ knows that it exists."""
