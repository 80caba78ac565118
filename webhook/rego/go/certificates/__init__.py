"""Certificates, their requests, keys and chains as Go's ``crypto/x509`` shows and verifies them."""
