//! The formula by which Homebrew installs the archives of a release, once they have an address.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;

use crate::{Result, shell, show};

/// Its name.
pub(super) const NAME: &str = "docker-sync.rb";

/// The systems of Homebrew, and the end of the names that Rust has for them.
const SYSTEMS: [(&str, &str); 2] = [("macos", "apple-darwin"), ("linux", "unknown-linux-musl")];
/// The machines of Homebrew, and as Rust names them.
const MACHINES: [(&str, &str); 2] = [("arm", "aarch64"), ("intel", "x86_64")];

/// An address that a release is to have: `https://HOST/FOLDER`, without the slash at its end.
pub(super) fn address(text: &str) -> std::result::Result<String, String> {
    let address = text.trim_end_matches('/');
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~:/%@+".contains(&byte);
    match address.strip_prefix("https://") {
        Some(rest) if !rest.is_empty() && !rest.starts_with('/') && rest.bytes().all(is_plain) => {
            Ok(address.into())
        }
        _ => Err("an address is wanted as https://HOST/FOLDER".into()),
    }
}

/// The formula for a version whose archives are at an address, among files with these checksums.
pub(super) fn formula(version: &str, address: &str, sums: &BTreeMap<String, String>) -> Result<String> {
    let mut archives = String::new();
    let mut has_macos = false;
    for (system, end) in SYSTEMS {
        let mut machines = String::new();
        for (machine, rust) in MACHINES {
            let name = format!("docker-sync-{version}-{rust}-{end}.tar.gz");
            if let Some(sum) = sums.get(&name) {
                write!(
                    machines,
                    "    on_{machine} do\n      url \"{address}/{name}\"\n      sha256 \"{sum}\"\n    end\n"
                )?;
            }
        }
        if !machines.is_empty() {
            has_macos |= system == "macos";
            write!(archives, "\n  on_{system} do\n{machines}  end\n")?;
        }
    }
    if archives.is_empty() {
        return Err("there is no archive for a formula".into());
    }
    let only_linux = if has_macos { "" } else { "\n  depends_on :linux\n" };
    Ok(format!(
        r##"class DockerSync < Formula
  desc "Synchronise container images between hosts over ssh"
  homepage "{address}"
  version "{version}"
  license "MIT"
{only_linux}{archives}
  def install
    bin.install "docker-sync"
    man1.install "docker-sync.1"
    bash_completion.install "completions/docker-sync.bash" => "docker-sync"
    fish_completion.install "completions/docker-sync.fish"
    zsh_completion.install "completions/_docker-sync"
    (lib/"docker/cli-plugins").install_symlink bin/"docker-sync"
    doc.install "THIRD-PARTY-LICENSES.txt"
  end

  test do
    assert_match version.to_s, shell_output("#{{bin}}/docker-sync --version")
  end
end
"##
    ))
}

/// Has ruby read a formula, where there is a ruby.
pub(super) fn try_out(formula: &Path) -> Result {
    if dsync_lab::packages::find("ruby").is_none() {
        show::note(format_args!("not checked, since ruby is not here: {}", formula.display()));
        return Ok(());
    }
    shell::output(Command::new("ruby").args(["-W", "-c"]).arg(formula)).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sums(names: &[&str]) -> BTreeMap<String, String> {
        names.iter().map(|name| ((*name).to_owned(), format!("{:064x}", name.len()))).collect()
    }

    const ADDRESS: &str = "https://example.org/releases";

    #[test]
    fn a_formula_has_the_archives_with_their_checksums() {
        let [x86, arm] = ["x86_64", "aarch64"]
            .map(|machine| format!("docker-sync-1.2.3-{machine}-unknown-linux-musl.tar.gz"));
        let sums = sums(&[&x86, &arm, "docker-sync_1.2.3_amd64.deb"]);
        let text = formula("1.2.3", ADDRESS, &sums).unwrap();
        for (name, machine) in [(&x86, "intel"), (&arm, "arm")] {
            let lines = format!(
                "    on_{machine} do\n      url \"{ADDRESS}/{name}\"\n      sha256 \"{}\"\n    end\n",
                sums[name]
            );
            assert!(text.contains(&lines), "{text}");
        }
        assert!(text.contains("  depends_on :linux\n\n  on_linux do\n") && !text.contains("macos"), "{text}");
        assert!(text.contains("shell_output(\"#{bin}/docker-sync --version\")"), "{text}");
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join(NAME);
        std::fs::write(&file, &text).unwrap();
        try_out(&file).unwrap();
        if dsync_lab::packages::find("ruby").is_some() {
            std::fs::write(&file, text.replace("  def install", "  def")).unwrap();
            assert!(try_out(&file).is_err());
        }
    }

    #[test]
    fn archives_for_macos_are_in_it_where_there_are_any() {
        let sums = sums(&["docker-sync-1.2.3-aarch64-apple-darwin.tar.gz"]);
        let text = formula("1.2.3", ADDRESS, &sums).unwrap();
        assert!(text.contains("  on_macos do\n    on_arm do\n") && !text.contains("linux"), "{text}");
        assert!(formula("1.2.4", ADDRESS, &sums).is_err(), "it has another version");
    }

    #[test]
    fn an_address_is_one_of_https_and_nothing_that_ruby_reads() {
        assert_eq!(address("https://example.org/a/b/"), Ok("https://example.org/a/b".into()));
        for text in
            ["http://example.org", "https://", "https:///x", "https://a\"b", "https://#{x}", "https://a b"]
        {
            assert!(address(text).is_err(), "{text}");
        }
    }
}
