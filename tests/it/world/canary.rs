//! The account's password as a canary: whatever the program says or keeps is searched for it, after every run of every test.

use std::fs;
use std::path::Path;

use openssl::base64::encode_block;

use super::server::{PASSWORD, USER};

/// Larger files are not read: no test's state that holds a secret would be that large.
const FILE_MOST: u64 = 4 << 20;

/// The forms that the password has in configurations, commands and SASL messages.
fn forms() -> Vec<String> {
    let message = |text: String| encode_block(text.as_bytes());
    let mut forms = vec![
        PASSWORD.to_owned(),
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

/// Fails when a file in the directory of states holds the password.
#[track_caller]
pub fn assert_unkept(states: &Path) {
    for entry in fs::read_dir(states).into_iter().flatten().flatten() {
        let small = entry.metadata().is_ok_and(|meta| meta.is_file() && meta.len() <= FILE_MOST);
        let octets = if small { fs::read(entry.path()).unwrap_or_default() } else { Vec::new() };
        assert_eq!(found(&octets), None, "the password is in {}", entry.path().display());
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
