//! The signature over the checksums of a release, by a key of ssh, for `install.sh --signers`.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use super::SUMS;
use crate::{Result, shell};

/// The file of the signature.
pub(super) const NAME: &str = "SHA256SUMS.sig";
/// The namespace of ssh-keygen for files.
const NAMESPACE: &str = "file";

/// Signs the checksums of a folder with a key: a private one, or a public one whose private one an agent has.
pub(super) fn sign(dist: &Path, key: &Path) -> Result {
    let (sums, signature) = (dist.join(SUMS), dist.join(NAME));
    if signature.exists() {
        // It asks whether to write over it.
        fs::remove_file(&signature)?;
    }
    let mut sign = Command::new("ssh-keygen");
    sign.args(["-q", "-Y", "sign", "-n", NAMESPACE, "-f"]).arg(key).arg(&sums);
    shell::run(&mut sign)?;
    let mut check = Command::new("ssh-keygen");
    check.args(["-Y", "check-novalidate", "-n", NAMESPACE, "-s"]).arg(&signature);
    shell::run(check.stdin(Stdio::from(fs::File::open(&sums)?)).stdout(Stdio::null()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A folder with a key and a file of checksums, signed by it; and the line of a file of signers for the key.
    fn signed() -> (tempfile::TempDir, String) {
        let folder = tempfile::tempdir().unwrap();
        let key = folder.path().join("key");
        let mut keygen = Command::new("ssh-keygen");
        keygen.args(["-q", "-t", "ed25519", "-N", "", "-C", "", "-f"]).arg(&key);
        shell::run(&mut keygen).unwrap();
        fs::write(folder.path().join(SUMS), "0  file\n").unwrap();
        sign(folder.path(), &key).unwrap();
        let public = fs::read_to_string(folder.path().join("key.pub")).unwrap();
        (folder, format!("release@example.org namespaces=\"file\" {public}"))
    }

    #[test]
    fn a_signature_is_that_of_the_key_over_the_checksums() {
        let (folder, signer) = signed();
        let verified = |namespace: &str| {
            let signers = folder.path().join("signers");
            fs::write(&signers, &signer).unwrap();
            let mut verify = Command::new("ssh-keygen");
            verify.args(["-Y", "verify", "-I", "release@example.org", "-n", namespace, "-f"]).arg(signers);
            verify.arg("-s").arg(folder.path().join(NAME));
            verify.stdin(Stdio::from(fs::File::open(folder.path().join(SUMS)).unwrap()));
            verify.output().unwrap().status.success()
        };
        assert!(verified("file") && !verified("git"));
        // A new signature takes the place of an old one.
        fs::write(folder.path().join(SUMS), "1  file\n").unwrap();
        assert!(!verified("file"));
        sign(folder.path(), &folder.path().join("key")).unwrap();
        assert!(verified("file"));
    }

    #[test]
    fn a_key_that_is_not_there_signs_nothing() {
        let (folder, _) = signed();
        assert!(sign(folder.path(), Path::new("/nowhere/key")).is_err());
        assert!(!folder.path().join(NAME).exists());
    }
}
