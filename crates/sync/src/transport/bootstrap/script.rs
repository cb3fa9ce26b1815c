//! The script that gets the agent to run: one command line for ssh, which any login shell passes on to `sh`.
//!
//! The script has no quote, backslash, exclamation mark or line end in it, which is what sh, fish and csh all
//! take literally between single quotes. It crosses the wire at each contact, so it is short.
//!
//! Nothing is run that another user of the host could have put there. A path is not looked at and then used:
//! the script goes into a directory, looks at where it is, and runs `./agent-HASH` from there.

/// The steps, in the order of the lines:
///
/// - PATH without its empty and relative entries, before anything on it is run;
/// - `u` is the user, `a` the agent, `t` the file that becomes it; `w` and `m` are the directory and the umask of
///   the login, which the agent gets back;
/// - `dirs` runs a function for each directory `$d/$n` in which agents are kept, until one succeeds;
/// - `ours` is true for what belongs to this user and nobody else can write, by owner, mode and (`+`) access
///   control list;
/// - `enter` goes into the directory; another name than `$n` there is that of a link's target;
/// - `same` is true for an agent with the client's version line;
/// - `z` is the size of the agent, and `f` the reason in one word if there will be none;
/// - `usable` makes the directory; one whose files cannot be run shows in the status of an empty script, and one that is
///   full when as many bytes as the agent has are written there: the next one is taken then.
const SCRIPT: &str = concat!(
    r#"q=$PATH; PATH=; IFS=:; set -f; for d in $q; do case $d in /*) PATH=$PATH$d:;; esac; done; unset IFS; PATH=$PATH/usr/local/bin:/usr/bin:/bin; "#,
    r#"v=$2; z=$3; f=nowhere; w=$PWD; m=$(umask); umask 077; u=$(id -u); a=./agent-$1; t=$a.$$; "#,
    r#"dirs() { for d in "$XDG_CACHE_HOME" "$HOME/.cache" /var/tmp /tmp /dev/shm; do n=docker-sync; "#,
    r#"case $d in /var/tmp | /tmp | /dev/shm) n=$n-$u;; /.cache) continue;; /*) ;; *) continue;; esac; $1 && return; done; return 1; }; "#,
    r#"ours() { [ -O $1 ] && case $(ls -ld $1) in ??????????+*) false;; $2????-??-*) :;; *) false;; esac; }; "#,
    r#"enter() { cd -P "$d" && cd -P ./$n && [ "${PWD##*/}" = $n ] && ours . d; }; "#,
    r#"same() { [ "$($1 agent --version 2>/dev/null </dev/null)" = "$v" ]; }; "#,
    r#"run() { umask $m; exec $1 agent "$w"; }; "#,
    r#"cached() { enter && ours $a - && same $a; }; "#,
    r#"usable() { [ $n = docker-sync ] && mkdir -p "$d"; cd -P "$d" && mkdir ./$n; enter || return; "#,
    r#": >$t && chmod 700 $t && { echo : >$t || full; } && $t && { head -c $z /dev/zero >$t || full; }; "#,
    r#"r=$?; rm -f $t; return $r; }; full() { f=full; false; }; "#,
    r#"dirs cached 2>/dev/null && run $a; "#,
    r#"cd /; same docker-sync && run docker-sync; "#,
    r#"dirs usable 2>/dev/null || { echo "docker-sync-bootstrap none $f"; exit 9; }; "#,
    r#"echo "docker-sync-bootstrap wanted $(uname -s) $(uname -m)"; read -r n s; "#,
    r#"[ "$n" -gt 0 ] || exit 9; f=unwritten; head -c "$n" | gzip -dc >$t && chmod 700 $t && f=damaged && "#,
    r#"if command -v sha256sum >/dev/null; then [ "$(sha256sum <$t | cut -c1-64)" = "$s" ]; fi && "#,
    r#"f=unusable && same $t && mv -f $t $a && run $a; "#,
    r#"rm -f $t; echo "docker-sync-bootstrap none $f"; exit 9"#,
);

/// The reason of the script for giving up.
pub(super) enum Reason<'a> {
    /// The host lets no agent run.
    Refused(&'a str),
    /// No directory in which one may run has room for it.
    Full,
    /// It did not arrive whole, or was not kept.
    Faulty(&'static str),
}

/// The reason by its word: a word is less to send each time than a sentence.
pub(super) fn reason(word: &str) -> Reason<'_> {
    match word {
        "nowhere" => Reason::Refused("no directory in which a program may run"),
        "unusable" => Reason::Refused("the program is another build, or does not run there"),
        "full" => Reason::Full,
        "unwritten" => Reason::Faulty("it arrived in part, or could not be written there"),
        "damaged" => Reason::Faulty("it arrived damaged"),
        other => Reason::Refused(other),
    }
}

/// The script without the spaces that are only there to be read.
pub(super) fn packed() -> String {
    SCRIPT.replace("; ", ";").replace(" && ", "&&").replace(" || ", "||").replace(" | ", "|")
}

/// The command for ssh to run. A host that has to be given the agent needs room for so many bytes.
pub(crate) fn command(hash: &[u8; 32], version_line: &str, size: u64) -> String {
    let hash = dsync_core::Digest::from_bytes(*hash).hex();
    let script = packed();
    format!("exec /bin/sh -c '{script}' docker-sync {hash} '{version_line}' {size}")
}
