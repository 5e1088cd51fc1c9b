//! The account's password as a canary: whatever the program says or keeps is searched for it, after every run of every test.

use std::fs;
use std::path::Path;
use std::time::SystemTime;

use openssl::base64::encode_block;

use super::server::{PASSWORD, USER};

/// Larger files are not read: no test's state that holds a secret would be that large.
const FILE_MOST: u64 = 4 << 20;

/// The password that stands in the clear in other tools' configurations, which are imported.
pub const IMPORTED: &str = "hunter2";

/// The forms that the password has in configurations, commands and SASL messages.
fn forms() -> Vec<String> {
    let message = |text: String| encode_block(text.as_bytes());
    let mut forms = vec![
        PASSWORD.to_owned(),
        IMPORTED.to_owned(),
        PASSWORD.replace('\\', "\\\\").replace('"', "\\\""),
        message(format!("\0{USER}\0{PASSWORD}")),
        message(format!("{USER}\0{USER}\0{PASSWORD}")),
        message(format!("user={USER}\u{1}auth=Bearer {PASSWORD}\u{1}\u{1}")),
    ];
    // Inside any other message: what its octets become at each of the three places they can begin at.
    forms.extend((0..3).map(|before| {
        let whole = message(format!("{}{PASSWORD}", "x".repeat(before)));
        whole.trim_end_matches('=').chars().skip((8 * before).div_ceil(6)).take(8).collect()
    }));
    forms
}

/// The first form of the password that `octets` hold.
fn found(octets: &[u8]) -> Option<String> {
    forms().into_iter().find(|form| octets.windows(form.len()).any(|window| window == form.as_bytes()))
}

/// Fails when what was said holds the password.
#[track_caller]
pub fn assert_unsaid(output: &str) {
    assert_eq!(found(output.as_bytes()), None, "the password is in an output:\n{output}");
}

/// Fails when a file holds the password that is in the directory of states, or that was written below `dir` since the
/// run began: configurations, markers, tables of keywords; all but messages, which are what the server has.
#[track_caller]
pub fn assert_unkept(dir: &Path, states: &Path, began: SystemTime) {
    let is_maildir = dir.join("tmp").is_dir() && dir.join("cur").is_dir();
    let is_for_messages =
        |path: &Path| is_maildir && path.file_name().is_some_and(|name| name == "cur" || name == "new");
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        let (path, Ok(meta)) = (entry.path(), entry.metadata()) else { continue };
        if meta.is_dir() && !is_for_messages(&path) {
            assert_unkept(&path, states, began);
        }
        let is_of_the_run = path.starts_with(states) || meta.modified().is_ok_and(|written| written >= began);
        if is_of_the_run && meta.is_file() && meta.len() <= FILE_MOST {
            let octets = fs::read(&path).unwrap_or_default();
            assert_eq!(found(&octets), None, "the password is in {}", path.display());
        }
    }
}

#[test]
fn the_canary_is_found_in_every_form() {
    let sasl = encode_block(format!("n,a={USER},\u{1}auth=Bearer {PASSWORD}\u{1}\u{1}").as_bytes());
    let said =
        ["PASS se cret\"\\", "LOGIN me \"se cret\\\"\\\\\"", "AUTH PLAIN AG1lAHNlIGNyZXQiXA==", "c2UgY3JldCJc", &sasl];
    for said in said {
        assert!(found(format!("debug: sent: {said} and on").as_bytes()).is_some(), "{said}");
    }
    assert_eq!(found(b"The login was refused: check `password`, se.cret"), None);
}
