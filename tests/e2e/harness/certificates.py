# SPDX-License-Identifier: Apache-2.0
"""Authorities and certificates, made with openssl."""
import pathlib
import ssl
import subprocess


def openssl(*arguments, folder):
    subprocess.run(["openssl", *map(str, arguments)], cwd=folder, check=True, capture_output=True,
                   stdin=subprocess.DEVNULL)


class Authority:
    """Issues certificates into its folder."""

    def __init__(self, folder, name="Test authority"):
        self.folder = pathlib.Path(folder)
        self.certificate = self.folder / "ca.crt"
        openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj",
                f"/CN={name}", "-keyout", "ca.key", "-out", "ca.crt", folder=self.folder)

    def issue(self, name, *names, days=90, file=None):
        """A certificate for DNS names (the first is also its subject); the paths of it and its key."""
        file = file or name
        (self.folder / f"{file}.ext").write_text(
            "subjectAltName=" + ",".join(f"DNS:{n}" for n in (name, *names)) + "\n")
        openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", f"/CN={name}", "-keyout",
                f"{file}.key", "-out", f"{file}.csr", folder=self.folder)
        openssl("x509", "-req", "-in", f"{file}.csr", "-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial", "-days", days,
                "-extfile", f"{file}.ext", "-out", f"{file}.crt", folder=self.folder)
        return str(self.folder / f"{file}.crt"), str(self.folder / f"{file}.key")

    def context(self, version=None):
        """What a client that trusts only this authority uses."""
        context = ssl.create_default_context(cafile=str(self.certificate))
        if version:
            context.minimum_version = context.maximum_version = version
        return context
