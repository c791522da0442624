"""Attacks on a signed folder, each as a runnable exhibit: what was changed, what is said, which exit code.

Every attack runs against a folder that verifies before it, so that a refusal is
the attack's doing; and the file that carries it is never handed out.
"""

import base64
import json
import os
import socket

import pytest

from trustkit import strictjson
from trustkit.attest.bundle import Bundle, PublicKeyHint, bundle_to_bytes
from trustkit.attest.dsse import PAYLOAD_TYPE, Envelope, Signature, pae
from trustkit.digest import digest_of
from trustkit.errors import TrustkitError
from trustkit.signing.key import generate_key, load_signer
from trustkit.verifying.policy import policy_from_keys
from trustkit.workflows import sign, verify


class Scene:
    """A model folder, its author, and the policy of whoever uses it."""

    def __init__(self, folder):
        private, public = generate_key("p256", passphrase=None)
        self.key = folder / "author.pem"
        self.key.write_bytes(private)
        self.signer = load_signer(self.key, passphrase=None)
        self.policy = policy_from_keys(public)
        self.beside = folder
        self.model = folder / "model"
        (self.model / "tokenizer").mkdir(parents=True)
        (self.model / "model.safetensors").write_bytes(bytes(range(256)) * 1000)
        (self.model / "config.json").write_text('{"model_type": "tiny"}')
        (self.model / "tokenizer" / "vocab.txt").write_text("a\nb\n")

    def sign(self, **how):
        sign(self.model, self.signer, **how)
        verify(self.model, self.policy).close()

    def refusal(self, **how):
        """Verify, and return the code and exit code of the refusal."""
        return refusal(lambda: verify(self.model, self.policy, **how))

    def forge(self, change):
        """Sign, with the author's own key, a payload that no tool of ours would write."""
        envelope = json.loads((self.model / "model.sig").read_bytes())["dsseEnvelope"]
        statement = json.loads(base64.b64decode(envelope["payload"]))
        change(statement)
        resources = statement["predicate"]["resources"]
        raw_digests = b"".join(bytes.fromhex(resource["digest"]) for resource in resources)
        statement["subject"][0]["digest"] = {"sha256": digest_of(raw_digests).hex}
        payload = strictjson.to_bytes(statement)
        signature = Signature(self.signer.sign(pae(PAYLOAD_TYPE, payload)))
        bundle = Bundle(Envelope(payload, PAYLOAD_TYPE, (signature,)), PublicKeyHint(self.signer.hint))
        (self.model / "model.sig").write_bytes(bundle_to_bytes(bundle))


def refusal(act):
    with pytest.raises(TrustkitError) as caught:
        act()
    return caught.value.code, caught.value.exit_code


@pytest.fixture
def scene(tmp_path):
    return Scene(tmp_path)


@pytest.mark.parametrize("method", ["files", "shards"])
@pytest.mark.parametrize("place", [0, 127_999, 255_999])
def test_a_flipped_byte_is_refused(place, method, scene):
    scene.sign(method=method, shard_size=100_000)
    path = scene.model / "model.safetensors"
    before = path.stat()
    with path.open("r+b") as file:
        file.seek(place)
        [byte] = file.read(1)
        file.seek(place)
        file.write(bytes([byte ^ 1]))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))  # times are nobody's evidence
    assert scene.refusal() == ("digest-mismatch", 1)


@pytest.mark.parametrize(
    "name",
    [
        "modeling_tiny.py",
        "tokenizer/.hidden",
        "tokenizer/.git/hooks/post-checkout",
        "tokenizer/model.sig",
        ".DS_Store",
        "model.sig~",
        "new/folder/x.bin",
        "model.claims.jsonl/evil.py",
    ],
)
@pytest.mark.parametrize("content", [b"", b"import os"])
def test_an_extra_file_is_refused(name, content, scene):
    scene.sign()
    (scene.model / name).parent.mkdir(parents=True, exist_ok=True)
    (scene.model / name).write_bytes(content)
    assert scene.refusal() == ("unsigned-file", 1)


@pytest.mark.parametrize(
    "name", [".git/config", ".git/hooks/pre-commit", ".gitattributes", ".github/x.yml", ".gitignore"]
)
def test_a_git_folder_that_appears_is_refused(name, scene):
    """The reference ignores these names wherever a signature does not say otherwise."""
    scene.sign()
    (scene.model / name).parent.mkdir(parents=True, exist_ok=True)
    (scene.model / name).write_text("[filter] smudge = evil")
    assert scene.refusal() == ("unsigned-file", 1)


@pytest.mark.parametrize(
    "to", ["model2.safetensors", "tokenizer/model.safetensors", "MODEL.safetensors", "a.bin", "z.bin"]
)
def test_a_renamed_file_is_refused(to, scene):
    """Also where the order of names stays, and with it OMS's root digest."""
    scene.sign()
    (scene.model / "model.safetensors").rename(scene.model / to)
    assert scene.refusal() == ("file-missing", 1)


def test_two_files_that_change_names_are_refused(scene):
    scene.sign()
    (scene.model / "config.json").rename(scene.model / "x")
    (scene.model / "tokenizer" / "vocab.txt").rename(scene.model / "config.json")
    (scene.model / "x").rename(scene.model / "tokenizer" / "vocab.txt")
    assert scene.refusal() == ("digest-mismatch", 1)


@pytest.mark.parametrize(
    "name",
    [
        "../outside.bin",
        "/etc/passwd",
        "tokenizer/../../outside.bin",
        "..",
        "tokenizer/..",
        "./config.json",
        "tokenizer//vocab.txt",
        "config.json/",
        "..\\outside.bin",
        "config.json\0",
        "\x1b[2Jconfig.json",
        "",
    ],
)
def test_a_name_that_climbs_is_refused(name, scene):
    """A signed manifest is no reason to open what it names."""
    scene.sign()
    (scene.beside / "outside.bin").write_bytes(b"x")

    def change(statement):
        statement["predicate"]["resources"][0] |= {"name": name, "digest": digest_of(b"x").hex}

    scene.forge(change)
    assert scene.refusal() == ("unsafe-name", 3)
    assert scene.refusal(ignore_unsigned=True, only=["*"]) == ("unsafe-name", 3)


@pytest.mark.parametrize("name", ["Config.json", "tokenizer/vocab.txt/x", "Tokenizer/other.txt"])
def test_two_names_that_meet_in_one_file_are_refused(name, scene):
    scene.sign()

    def change(statement):
        statement["predicate"]["resources"].append(
            {"name": name, "algorithm": "sha256", "digest": digest_of(b"x").hex}
        )

    scene.forge(change)
    assert scene.refusal(ignore_unsigned=True) == ("name-twins", 3)


@pytest.mark.parametrize("allowed", [False, True])
@pytest.mark.parametrize("target", ["/etc/passwd", "../outside.bin", "/", "..", "tokenizer/up/outside.bin"])
def test_a_link_out_of_the_tree_is_refused(target, allowed, scene):
    """Put there before signing it is refused then, and put there later when verifying."""
    (scene.beside / "outside.bin").write_bytes(b"secret")
    if target == "tokenizer/up/outside.bin":
        (scene.model / "tokenizer" / "up").symlink_to("../..")
    (scene.model / "link").symlink_to(target)
    code, exit_code = refusal(lambda: sign(scene.model, scene.signer, allow_symlinks=allowed))
    assert (code, exit_code) == ("link-escapes" if allowed else "symlink", 3)
    (scene.model / "link").unlink()
    (scene.model / "tokenizer" / "up").unlink(missing_ok=True)
    scene.sign(allow_symlinks=allowed)
    (scene.model / "config.json").rename(scene.beside / "config.json")
    (scene.model / "config.json").symlink_to("../config.json")
    assert scene.refusal() == ("link-escapes" if allowed else "symlink", 1)


@pytest.mark.parametrize("make", ["fifo", "socket", "device"])
def test_something_special_in_the_tree_is_refused_and_never_opened(make, scene, monkeypatch):
    scene.sign()
    monkeypatch.chdir(scene.model)
    (scene.model / "config.json").unlink()
    if make == "fifo":
        os.mkfifo("config.json")
    elif make == "socket":
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind("config.json")
    else:
        try:
            os.mknod("config.json", 0o20666, os.makedev(1, 5))
        except PermissionError:
            pytest.skip("only root makes devices")
    assert scene.refusal() == ("special-file", 1)
    assert scene.refusal(ignore_unsigned=True) == ("special-file", 1)


def overwrite(path):
    with path.open("r+b") as file:
        file.write(b"evil")


def append(path):
    with path.open("ab") as file:
        file.write(b"evil")


def replace(path):
    path.with_name("new").write_bytes(path.read_bytes())
    path.with_name("new").rename(path)


@pytest.mark.parametrize("change", [overwrite, append, replace, lambda path: os.truncate(path, 10)])
def test_a_file_that_changes_while_it_is_read_is_refused(change, scene):
    """While signing, while verifying, and between the verdict and the use."""
    path = scene.model / "model.safetensors"
    original = path.read_bytes()
    scene.sign()

    due = iter(())

    def restore():
        nonlocal due
        path.write_bytes(original)
        os.utime(path, ns=(1, 1))
        due = iter([path])

    def progress(size):
        """Change it once: several threads read, and each tells of its bytes."""
        for place in due:
            change(place)

    restore()
    act = lambda: sign(scene.model, scene.signer, overwrite=True, progress=progress, workers=1)  # noqa: E731
    assert refusal(act) == ("file-changed", 1)
    restore()
    assert scene.refusal(progress=progress, workers=1) == ("file-changed", 1)
    restore()
    verified = verify(scene.model, scene.policy)
    change(path)
    assert refusal(lambda: verified.open("model.safetensors")) == ("file-changed", 1)
    os.close(verified.open("config.json"))
    verified.close()


def test_a_folder_swapped_after_the_verdict_is_not_followed(scene):
    scene.sign()
    verified = verify(scene.model, scene.policy)
    (scene.model / "tokenizer").rename(scene.beside / "moved")
    (scene.model / "tokenizer").symlink_to("../moved")
    assert refusal(lambda: verified.open("tokenizer/vocab.txt")) == ("file-changed", 1)
    verified.close()


@pytest.mark.parametrize("how", ["plain", "linked", "hard link"])
def test_a_key_inside_the_model_is_refused(how, scene):
    inside = scene.model / "tokenizer" / "key.pem"
    given = inside
    if how == "hard link":
        os.link(scene.key, inside)
        given = scene.key
    else:
        inside.write_bytes(scene.key.read_bytes())
    if how == "linked":
        given = scene.beside / "link.pem"
        given.symlink_to(inside)
    act = lambda: sign(scene.model, scene.signer, inputs=[scene.beside / "other", given])  # noqa: E731
    assert refusal(act) == ("key-inside-model", 2)
    assert not (scene.model / "model.sig").exists()


@pytest.mark.parametrize("overwrite", [False, True])
@pytest.mark.parametrize("how", ["plain", "dots", "link", "hard link", "model file"])
def test_an_output_over_an_input_is_refused(how, overwrite, scene):
    """The reference writes its signature over the private key when told to."""
    target = {
        "plain": scene.key,
        "dots": scene.model / ".." / "author.pem",
        "link": scene.beside / "link.pem",
        "hard link": scene.beside / "hard.pem",
        "model file": scene.model / "config.json",
    }[how]
    (scene.beside / "link.pem").symlink_to("author.pem")
    os.link(scene.key, scene.beside / "hard.pem")
    before = scene.key.read_bytes(), (scene.model / "config.json").read_bytes()
    code, exit_code = refusal(
        lambda: sign(scene.model, scene.signer, bundle=target, overwrite=overwrite, inputs=[scene.key])
    )
    assert exit_code == 2
    if how == "model file":
        assert code == ("not-replaceable" if overwrite else "output-exists")
    else:
        assert code == "output-is-input"
    assert (scene.key.read_bytes(), (scene.model / "config.json").read_bytes()) == before
    assert not (scene.model / "model.sig").exists()
