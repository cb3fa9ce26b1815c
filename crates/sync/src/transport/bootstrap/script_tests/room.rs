//! Uploads that do not arrive whole, and disks that are full.

use super::*;

#[test]
fn a_damaged_upload_leaves_nothing() {
    let account = Account::new();
    let mut cut = upload(&agent("new"));
    cut.truncate(cut.len() - 10);
    let mut other = upload(&agent("new"));
    let at = other.iter().position(|byte| *byte == b' ').unwrap() + 1;
    other[at] = if other[at] == b'0' { b'1' } else { b'0' };
    let wrong = upload("#!/bin/sh\necho another\n");
    for (what, input, reason) in
        [("cut", cut, "unwritten"), ("another hash", other, "damaged"), ("another build", wrong, "unusable")]
    {
        let contact = account.contact(&input);
        let says = format!("\ndocker-sync-bootstrap none {reason}\n");
        assert!(contact.out.contains(&says), "{what}: {contact:?}");
        assert_eq!(contact.code, Some(9), "{what}");
        assert_eq!(fs::read_dir(account.folder()).unwrap().count(), 0, "{what}");
    }
}

/// A program stands for a disk that is full: it cannot write where one of these directories is.
#[test]
fn an_agent_is_put_where_there_is_room() {
    let account = Account::new();
    let programs = account.path("programs");
    account.make(&programs, 0o755);
    let full = |folders: &str| {
        let head = find("head").unwrap().display().to_string();
        let script = format!("#!/bin/sh\ncase $PWD in {folders}) exit 1;; esac\nexec {head} \"$@\"\n");
        fs::write(programs.join("head"), script).unwrap();
        set_mode(&programs.join("head"), 0o755);
        Account { path: format!("{}:{PROGRAMS}", programs.display()), ..Account::new() }
    };
    let account = full("*/home/*");
    let contact = account.contact(&upload(&agent("new")));
    contact.asks_for_the_agent();
    assert!(contact.out.contains("new runs"), "{contact:?}");
    assert!(account.shared("var-tmp").join(agent_name()).exists());
    assert_eq!(fs::read_dir(account.folder()).unwrap().count(), 0);

    let contact = full("*").contact(b"");
    assert_eq!(
        (&contact.out[..], contact.code),
        ("docker-sync-bootstrap none full\n", Some(9)),
        "{contact:?}"
    );
}
