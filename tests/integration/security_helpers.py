"""Authorities, certificates, tokens and channels for tests of security."""

import datetime
import pathlib
import subprocess

import grpc
import harness

CA_CONFIG = """
[ca]
default_ca = own
[own]
database = {folder}/index
new_certs_dir = {folder}
rand_serial = yes
default_md = sha256
policy = any
copy_extensions = copy
unique_subject = no
[any]
commonName = supplied
"""


def openssl(*args):
    subprocess.run(["openssl", *map(str, args)], check=True, capture_output=True,
                   timeout=harness.COMMAND_SECONDS)


class Authority:
    """A certificate authority in a folder of its own."""

    def __init__(self, folder, name="authority"):
        self.folder = pathlib.Path(folder) / name
        self.folder.mkdir()
        self.certificate = self.folder / "ca.pem"
        self._key = self.folder / "ca.key"
        self._config = self.folder / "ca.cnf"
        self._config.write_text(CA_CONFIG.format(folder=self.folder))
        (self.folder / "index").touch()
        openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
                "-nodes", "-keyout", self._key, "-out", self.certificate, "-days", "2", "-subj",
                f"/CN={name}")

    def issue(self, common_name, expired=False):
        """A new key and its certificate, for the host localhost: (certificate, key) as paths."""
        count = len(list(self.folder.glob("*.csr")))
        base = self.folder / f"{count}"
        key, request, certificate = (base.with_suffix(s) for s in (".key", ".csr", ".crt"))
        openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                "-keyout", key, "-out", request, "-subj", f"/CN={common_name}", "-addext",
                "subjectAltName=DNS:localhost,IP:127.0.0.1")
        now = datetime.datetime.now(datetime.timezone.utc)
        day = datetime.timedelta(days=1)
        begin, end = (now - 2 * day, now - day) if expired else (now - day, now + day)
        openssl("ca", "-batch", "-notext", "-config", self._config, "-cert", self.certificate,
                "-keyfile", self._key, "-in", request, "-out", certificate,
                "-startdate", begin.strftime("%Y%m%d%H%M%SZ"),
                "-enddate", end.strftime("%Y%m%d%H%M%SZ"))
        return certificate, key


def make_token(tenant, path):
    """A token of the tenant, whose hash is appended to the file at path."""
    import json
    done = harness.ctl("token", "create", tenant, f"--file={path}", "--json")
    return json.loads(done.stdout)["token"]


def bearer(token):
    return (("authorization", f"Bearer {token}"),)


def secure_channel(address, ca, certificate=None, key=None, **options):
    """A TLS channel to a server on 127.0.0.1."""
    credentials = grpc.ssl_channel_credentials(
        pathlib.Path(ca).read_bytes(),
        pathlib.Path(key).read_bytes() if key else None,
        pathlib.Path(certificate).read_bytes() if certificate else None)
    options = {"enable_http_proxy": 0, "max_receive_message_length": -1,
               "use_local_subchannel_pool": 1, **options}
    return grpc.secure_channel(address, credentials, [(f"grpc.{name}", value) for name, value in
                                                      options.items()])
