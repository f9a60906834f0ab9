"""Deploys with Ansible, on hosts that are folders of this machine."""
