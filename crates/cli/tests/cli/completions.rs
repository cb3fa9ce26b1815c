//! Completion in real shells.

use std::os::unix::fs::symlink;
use std::path::PathBuf;

use crate::environment::{Environment, PROGRAM, Ran};

/// A home with the program on PATH, two hosts in ssh's configuration, and an image of this host.
fn environment() -> Environment {
    let environment = Environment::new();
    symlink(PROGRAM, environment.path().join("bin/docker-sync")).unwrap();
    std::fs::create_dir(environment.path().join(".ssh")).unwrap();
    std::fs::write(environment.path().join(".ssh/config"), "Host build prod ci-*\n").unwrap();
    let id = "sha256:".to_owned() + &"1".repeat(64);
    let image = format!(r#"[{{"Id":"{id}","RepoTags":["shop/web:v1","shop/web:v2"],"RootFS":{{}}}}]"#);
    environment.script(
        "docker",
        &format!(
            "case $1 in info) echo '{{\"ID\":\"x\",\"ServerVersion\":\"28.5.2\",\"Driver\":\"overlay2\"}}';;\n\
             images) echo {id};;\nimage) echo '{image}';;\nesac"
        ),
    );
    environment
}

/// The file with the script for a shell.
fn script(environment: &Environment, shell: &str) -> PathBuf {
    let script = environment.path().join("completions");
    std::fs::write(&script, environment.run(&["completions", shell]).out).unwrap();
    script
}

/// The answers of bash, which splits a line into words as it does while somebody types.
fn bash(environment: &Environment, words: &[&str]) -> Vec<String> {
    let script = script(environment, "bash");
    // COMP_WORDBREAKS has the colon and the equals sign.
    let mut split: Vec<String> = vec!["docker-sync".into()];
    for word in words {
        let mut rest = *word;
        while let Some(at) = rest.find([':', '=']) {
            split.extend(
                [&rest[..at], &rest[at..=at]].into_iter().filter(|part| !part.is_empty()).map(str::to_owned),
            );
            rest = &rest[at + 1..];
        }
        // Behind a colon bash begins no word before there is a letter of it.
        if !rest.is_empty() || word.is_empty() {
            split.push(rest.to_owned());
        }
    }
    let line = format!("docker-sync {}", words.join(" "));
    let run = "source \"$1\"; COMP_LINE=$2; COMP_POINT=${#2}; shift 2; COMP_WORDS=(\"$@\"); COMP_CWORD=$(($# - 1))\n\
               compopt() { echo \"compopt $*\"; }; _docker_sync; printf '%s\\n' \"${COMPREPLY[@]}\"";
    let mut command = environment.command("bash");
    command.args(["--norc", "-c", run, "bash"]).arg(&script).arg(&line).args(&split);
    let ran = Ran::from(command.output().unwrap());
    assert_eq!(ran.err, "", "{line}");
    ran.out.lines().map(str::to_owned).collect()
}

#[test]
fn bash_completes_words_with_colons_in_them() {
    let environment = environment();
    assert_eq!(bash(&environment, &["pr"]), ["prod"]);
    assert_eq!(bash(&environment, &["push", "prod", "sho"]), ["shop/web:v1", "shop/web:v2"]);
    assert_eq!(bash(&environment, &["push", "prod", "shop/web:"]), ["v1", "v2"]);
    assert_eq!(bash(&environment, &["push", "prod", "shop/web:v2"]), ["v2"]);
    assert_eq!(bash(&environment, &["prod", "--method=r"]), ["rsync"]);
    assert_eq!(bash(&environment, &["prod", "--method", ""]), ["auto", "delta", "rsync", "stream"]);
    assert_eq!(bash(&environment, &["docker-a"]), ["compopt -o nospace", "docker-archive:"]);
    assert_eq!(bash(&environment, &["apply", ""]), ["compopt -o default", ""]);
}

#[test]
fn a_remote_is_asked_for_nothing_and_its_last_report_names_its_images() {
    let environment = environment();
    assert_eq!(bash(&environment, &["prod", ""]), [""]);
    environment.script("ssh", "for last; do :; done; exec sh -c \"$last\"");
    let ran = environment.run(&["prod", "--docker", "oci:here"]);
    assert_eq!(ran.exit, Some(0), "{ran}");
    assert_eq!(bash(&environment, &["prod", "shop"]), ["shop/web:v1", "shop/web:v2"]);
    assert_eq!(bash(&environment, &["build", "shop"]), [""], "another remote");
}

#[test]
#[ignore = "needs fish: cargo xtask test"]
fn fish_completes() {
    let environment = environment();
    let script = script(&environment, "fish");
    let complete = |line: &str| {
        let mut command = environment.command("fish");
        command.args(["--no-config", "-c", "source $argv[1]; complete -C $argv[2]"]).arg(&script).arg(line);
        let ran = Ran::from(command.output().unwrap());
        assert_eq!(ran.err, "", "{line}");
        ran.out
    };
    assert_eq!(complete("docker-sync pr"), "prod\n");
    assert_eq!(complete("docker-sync push prod shop/web:"), "shop/web:v1\nshop/web:v2\n");
    assert_eq!(
        complete("docker-sync prod --verif"),
        "--verify\tRead the image back on the target, and check every byte of it\n"
    );
    assert!(complete("docker-sync apply comp").contains("completions"), "a file");
}

/// The line that zsh makes of these keys.
const ZSH: &str = r#"
zmodload zsh/zpty
zpty shell "zsh -f -i"
zpty -w shell "PS1=; autoload -U compinit; compinit -u; source $1; show() { print -r -- \"<\$BUFFER>\"; zle kill-whole-line }; zle -N show; bindkey '^G' show"
zpty -n -w shell $2$'\a'
while zpty -r shell line; do
    [[ $line == *'<docker-sync'*'>'* ]] && { print -r -- "${${line#*<}%%>*}"; break; }
done
"#;

#[test]
#[ignore = "needs zsh: cargo xtask test"]
fn zsh_completes() {
    let environment = environment();
    let script = script(&environment, "zsh");
    let complete = |keys: &str| {
        let mut command = environment.command("timeout");
        command.args(["60", "zsh", "-f", "-c", ZSH, "zsh"]).arg(&script).arg(keys);
        let ran = Ran::from(command.output().unwrap());
        assert_eq!(ran.exit, Some(0), "{keys:?}: {ran}");
        ran.out
    };
    assert_eq!(complete("docker-sync pr\t"), "docker-sync prod \n");
    assert_eq!(complete("docker-sync push prod sho\t2\t"), "docker-sync push prod shop/web:v2 \n");
    assert_eq!(complete("docker-sync apply comp\t"), "docker-sync apply completions \n");
}
