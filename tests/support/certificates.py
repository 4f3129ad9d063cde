"""Certificates for servers of tests, made by openssl.

make(folder) makes the folder with ca.pem, which signed all but one of:
    server.pem      localhost, 127.0.0.1
    elsewhere.pem   elsewhere.invalid
    expired.pem     localhost, 127.0.0.1; until yesterday
and other.pem, a CA that signed none.  Keys are beside them: server.key, ...
server_context(folder, "server"): for a TLS server with one of them.
"""
import ssl
import subprocess

LOCAL, ELSEWHERE = "DNS:localhost,IP:127.0.0.1", "DNS:elsewhere.invalid"


def openssl(folder, *args):
    subprocess.run(["openssl", *args], cwd=folder, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def sign(folder, name, alt_names, days):
    openssl(folder, "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", f"{name}.key",
            "-out", f"{name}.csr", "-subj", f"/CN={name}")
    (folder / f"{name}.cnf").write_text(f"subjectAltName={alt_names}\nbasicConstraints=CA:FALSE\nextendedKeyUsage=serverAuth\n")
    openssl(folder, "x509", "-req", "-in", f"{name}.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", str(days),
            "-extfile", f"{name}.cnf", "-out", f"{name}.pem")


def make(folder):
    folder.mkdir()
    for ca in ("ca", "other"):
        openssl(folder, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", f"{ca}.key",
                "-out", f"{ca}.pem", "-days", "30", "-subj", f"/CN=pixl test {ca}", "-addext", "keyUsage=critical,keyCertSign,cRLSign")
    sign(folder, "server", LOCAL, 30)
    sign(folder, "elsewhere", ELSEWHERE, 30)
    sign(folder, "expired", LOCAL, -1)


def server_context(folder, name="server"):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / f"{name}.pem", folder / f"{name}.key")
    return context
