//! Quotes scripts for the shell of another host, so that any login shell passes them on unchanged.
//!
//! A login shell may be sh, fish or csh. All of them pass on a text between single quotes that has no single quote,
//! backslash, exclamation mark or line end in it; so the script is given to `sh` in single quotes, and its words stand
//! in double quotes.

use crate::store::StoreError;

/// Sets PATH: its own entries, and directories that a non-interactive session often misses. An empty or relative entry
/// is left out, as no program is taken from the current directory.
const PATH: &str = concat!(
    "q=$PATH:/usr/local/bin:/usr/bin:/bin:/snap/bin:/opt/homebrew/bin:/usr/local/sbin:/usr/sbin:/opt/bin:$HOME/bin:$HOME/.local/bin; ",
    "PATH=; IFS=:; set -f; for d in $q; do case $d in /*) PATH=$PATH:$d;; esac; done; unset IFS; set +f; PATH=${PATH#:}"
);

/// The command line that has `sh` run a script.
pub(crate) fn command(script: &str) -> String {
    format!("exec /bin/sh -c '{PATH}; export PATH LC_ALL=C NO_COLOR=1; {script}'")
}

/// The line that a marked command prints before anything else of its own: output before it is a login
/// shell's banner.
pub(crate) const MARK: &str = "docker-sync-begins";

/// The same for a script whose output is read.
pub(crate) fn marked_command(script: &str) -> String {
    command(&format!("echo {MARK}; {script}"))
}

/// The same for one whose output is compressed on its way; its status is the script's all the same.
pub(crate) fn packed_command(script: &str) -> String {
    marked_command(&format!(
        "{{ s=$({{ {{ {script}; echo $? >&3; }} | gzip -c >&4; }} 3>&1); }} 4>&1; exit $s"
    ))
}

/// Words as one command line of a script.
pub(crate) fn line<'a>(words: impl IntoIterator<Item = &'a str>) -> Result<String, StoreError> {
    Ok(words.into_iter().map(word).collect::<Result<Vec<_>, _>>()?.join(" "))
}

/// A word, quoted where it has to be.
pub(crate) fn word(text: &str) -> Result<String, StoreError> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_./:=@%+,-".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        return Ok(text.into());
    }
    if text.chars().any(|c| "'\"\\!$`".contains(c) || c.is_control()) {
        let reason = format!("{text:?} cannot be passed through every login shell");
        return Err(StoreError::Broken { what: "a command for the other host".into(), reason });
    }
    Ok(format!("\"{text}\""))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::PermissionsExt;
    use std::process::Command;

    #[test]
    fn words_arrive_as_they_are() {
        let words = ["printf", "[%s]", "a b", "{{json .}}", "", "x;y|z&", "*", "#", "~"];
        let script = line(words).unwrap();
        let output = Command::new("sh").args(["-c", &command(&script)]).output().unwrap();
        assert_eq!(String::from_utf8(output.stdout).unwrap(), "[a b][{{json .}}][][x;y|z&][*][#][~]");
    }

    #[test]
    fn nothing_in_the_current_directory_is_run() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("bin")).unwrap();
        for file in ["docker", "bin/docker", "sh"].map(|name| folder.path().join(name)) {
            fs::write(&file, "#!/bin/sh\necho trapped\n").unwrap();
            fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
        }
        for path in ["", ":", ".", "bin:/usr/bin", "/usr/bin:", "::/bin", "*:."] {
            let script = "command -v docker || echo none; echo $PATH; set -- *; echo $#";
            let mut sh = Command::new("/bin/sh");
            sh.args(["-c", &command(script)]).env_clear().env("PATH", path).env("HOME", "/nowhere");
            let output = sh.current_dir(&folder).output().unwrap();
            let said = String::from_utf8(output.stdout).unwrap();
            let [docker, path_there, files] = said.lines().collect::<Vec<_>>()[..] else { panic!("{said}") };
            assert!(docker == "none" || docker.starts_with('/'), "{path:?}: {said}");
            assert!(path_there.split(':').all(|entry| entry.starts_with('/')), "{path:?}: {said}");
            assert!(path_there.ends_with(":/nowhere/bin:/nowhere/.local/bin"), "{path:?}: {said}");
            assert_eq!(files, "3", "{path:?}: names are expanded as ever");
        }
    }

    #[test]
    fn what_some_shell_would_change_is_refused() {
        for text in ["it's", "a\"b", "a\\b", "hi!", "$HOME", "`id`", "a\nb"] {
            assert!(word(text).is_err(), "{text}");
        }
    }
}
