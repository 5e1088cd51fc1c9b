//! What a run tells: the dry run is the real run, action by action; lines for people; silence for cron.

use std::fs;

use serde_json::Value;

use crate::world::certs;
use crate::world::dovecot::Dovecot;
use crate::world::pair::{Pair, Setting, events};
use crate::world::process::{As, Mailtide};
use crate::world::random::Editor;
use crate::world::scratch::Scratch;
use crate::world::server::Server;

/// Planned or done actions, without what only a done one has; in one order, since transfers run side by side.
fn actions(stdout: &str) -> Vec<String> {
    let strip = |mut event: Value| {
        let fields = event.as_object_mut().unwrap();
        fields.retain(|key, _| !key.starts_with("done"));
        event.to_string()
    };
    let mut all: Vec<_> = events(stdout).into_iter().filter(|e| e["event"] == "action").map(strip).collect();
    all.sort();
    all
}

#[test]
fn the_dry_run_is_the_real_run() {
    let dovecot = Dovecot::start();
    let pair = Pair::new(&dovecot);
    let mut editor = Editor::new(71);
    let mut client = dovecot.client();
    editor.fill(Some(&pair.tree), &mut client);
    for round in 0..4 {
        let (tree, log) = (pair.tree.touch_marks(), dovecot.wire_log().mark());
        let planned = pair.try_sync(&["--dry-run", "--json"]).expect(0);
        assert_eq!(log.changing_commands(), [""; 0], "a dry run changes nothing on the server");
        assert_eq!(pair.tree.touch_marks(), tree, "and nothing in the tree");
        assert!(!pair.tree.root.join(".mailtide").exists() || round > 0);
        let done = pair.try_sync(&["--json"]).expect(0);
        let (planned, done) = (actions(&planned.stdout), actions(&done.stdout));
        assert!(!planned.is_empty());
        assert_eq!(planned, done, "round {round}");
        pair.assert_equal(&format!("round {round}"));
        editor.round(&pair.tree, &mut client, 10);
    }
}

#[test]
fn a_last_line_a_person_understands_and_silence_for_cron() {
    let dovecot = Dovecot::start();
    let pair = Pair::new(&dovecot);
    dovecot.client().append("INBOX", b"Subject: x\r\n\r\n", &[]);
    let outcome = pair.sync();
    let said = format!("{}{}", outcome.stdout, outcome.stderr);
    assert!(said.lines().count() >= 1 && said.contains("work"), "{said}");
    assert!(!said.contains('\x1b') && !said.contains('\r'), "no bars and colours without a terminal: {said:?}");
    let quiet = pair.try_sync(&["--quiet"]).expect(0);
    assert_eq!((quiet.stdout.as_str(), quiet.stderr.as_str()), ("", ""));
    dovecot.client().append("INBOX", b"Subject: y\r\n\r\n", &[]);
    let quiet = pair.try_sync(&["--quiet"]).expect(0);
    assert_eq!((quiet.stdout.as_str(), quiet.stderr.as_str()), ("", ""));
    // It speaks up when a person has to act.
    let trouble = Setting { imap: "pin = \"sha256:x\"\n".into(), ..Setting::default() };
    pair.configure(&trouble);
    let quiet = pair.try_sync(&["--quiet"]);
    assert!(quiet.code() != 0 && !quiet.stderr.is_empty() && quiet.stdout.is_empty(), "{quiet:?}");
}

#[test]
fn a_pattern_that_matches_no_mailbox_is_told() {
    let dovecot = Dovecot::start();
    let pair = Pair::new(&dovecot);
    pair.sync();
    pair.try_sync(&["--mailbox", "inbxo"]).expect(0).says(&["No mailbox is selected; `mailtide mailboxes`"]);
    let told = pair.try_sync(&["--mailbox", "INBOX"]).expect(0);
    assert!(!told.stderr.contains("selected"), "{told:?}");
}

#[test]
fn deletions_allowed_in_no_mailbox_are_told() {
    let dovecot = Dovecot::start();
    let pair = Pair::new(&dovecot);
    let told = "`--allow-deletions`: no mailbox that is selected is called `Inbxo`; `mailtide mailboxes` shows which there are";
    for more in [&[][..], &["--dry-run"]] {
        let more = [&["--allow-deletions", "Inbxo", "--allow-deletions", "INBOX"], more].concat();
        let said = pair.try_sync(&more).expect(0).says(&[told]);
        assert!(!said.stderr.contains("`INBOX`") && !said.stdout.contains("`INBOX`"), "{said:?}");
    }
    pair.try_sync(&["--allow-deletions", "INBOX", "--mailbox", "Drafts"]).expect(0).says(&["is called `INBOX`"]);
    let all = pair.try_sync(&["--allow-deletions", "all"]).expect(0);
    assert!(!all.stderr.contains("is called") && !all.stdout.contains("is called"), "{all:?}");
}

#[test]
fn ndjson_ends_with_a_summary_that_counts() {
    let dovecot = Dovecot::start();
    let pair = Pair::new(&dovecot);
    pair.tree.create_mailbox("INBOX");
    pair.tree.deliver("INBOX", "1.x", b"Subject: up\n\n", Some("S"));
    for n in 0..3 {
        dovecot.client().append("INBOX", format!("Subject: {n}\r\n\r\n").as_bytes(), &[]);
    }
    let all = events(&pair.try_sync(&["--json"]).expect(0).stdout);
    let summary = all.last().unwrap();
    assert_eq!((&summary["event"], &summary["outcome"]), (&"summary".into(), &"in-sync".into()));
    assert_eq!(summary["counts"]["local"]["new"], 3);
    assert_eq!(summary["counts"]["remote"]["new"], 1);
    assert!(summary["received"].as_u64().unwrap() > 100);
    // An account that aborts says so in the same form.
    pair.configure(&Setting {
        imap: "disable = []\ntimeout = \"1s\"\n".into(),
        through: Some(1),
        ..Setting::default()
    });
    let all = events(&pair.try_sync(&["--json"]).expect(5).stdout);
    let kinds: Vec<_> = all.iter().map(|e| e["event"].as_str().unwrap()).collect();
    assert_eq!(kinds.iter().rev().take(2).collect::<Vec<_>>(), [&"summary", &"error"], "{kinds:?}");
}

#[test]
fn status_mailboxes_and_check_look_and_touch_nothing() {
    let dovecot = Dovecot::start();
    let pair = Pair::new(&dovecot);
    let mut client = dovecot.client();
    client.create("Entwürfe");
    client.append("INBOX", b"Subject: x\r\n\r\n", &[]);
    pair.sync();
    client.append("INBOX", b"Subject: y\r\n\r\n", &[]);
    let config = pair.config.to_str().unwrap();
    let (tree, log) = (pair.tree.touch_marks(), dovecot.wire_log().mark());
    let mailtide = &pair.mailtide;
    mailtide.run(&["mailboxes", "-c", config, "work"]).expect(0).says(&["Entwürfe", "INBOX", "Trash"]);
    mailtide.run(&["status", "-c", config, "work"]).expect(0).says(&["INBOX"]);
    let checked = mailtide.run(&["check", "-c", config, "work"]).expect(0);
    let pin = certs::fingerprint(&dovecot.certificate());
    let checked = checked.says(&["QRESYNC", "TLS 1.3 from the first octet", &format!("the certificate sha256:{pin}")]);
    assert!(!checked.stdout.contains("IDLE"), "a run has no use for it: {}", checked.stdout);
    events(&mailtide.run(&["mailboxes", "-c", config, "--json"]).expect(0).stdout);
    events(&mailtide.run(&["status", "-c", config, "--json"]).expect(0).stdout);
    events(&mailtide.run(&["check", "-c", config, "--json"]).expect(0).stdout);
    assert_eq!(log.changing_commands(), [""; 0]);
    assert_eq!(pair.tree.touch_marks(), tree);
    // Nobody listens at port 1.
    pair.configure(&Setting { imap: "timeout = \"1s\"\n".into(), through: Some(1), ..Setting::default() });
    pair.mailtide.run(&["check", "-c", pair.config.to_str().unwrap()]).expect(5).says(&["localhost:1"]);
}

#[test]
fn status_tells_what_is_unresolved_once_and_since_when() {
    let dovecot = Dovecot::start();
    let pair = Pair::new(&dovecot);
    pair.sync();
    // Dovecot takes no empty message, and no mailbox is called `inbox` beside INBOX.
    pair.tree.deliver("INBOX", "17.empty", b"", Some("S"));
    ["cur", "new"].iter().for_each(|part| fs::create_dir_all(pair.tree.root.join("inbox").join(part)).unwrap());
    pair.try_sync(&[]).expect(1).says(&["17.empty", "Look at the file", "inbox: The directory's name"]);
    let config = pair.config.to_str().unwrap();
    let told = pair.mailtide.run(&["status", "-c", config]).expect(1);
    let told = told.says(&["the last run ended", "unresolved since", "hint: Look at the file"]);
    for once in ["The message cannot be uploaded", "inbox: The directory's name"] {
        assert_eq!(format!("{}{}", told.stdout, told.stderr).matches(once).count(), 1, "{told:?}");
    }
    let quiet = pair.mailtide.run(&["status", "-c", config, "--quiet"]).expect(1);
    assert!(!quiet.stdout.contains("the last run"), "{quiet:?}");
    let all = events(&pair.mailtide.run(&["status", "-c", config, "--json"]).expect(1).stdout);
    assert_eq!(all.iter().filter(|e| e["event"] == "unresolved").count(), 2, "{all:?}");
}

#[test]
fn help_completions_and_man_page_speak_for_themselves() {
    let scratch = Scratch::new();
    let mailtide = Mailtide::new(&scratch, As::Me);
    let short = mailtide.run(&["sync", "-h"]).expect(0).stdout;
    let long = mailtide.run(&["sync", "--help"]).expect(0).stdout;
    assert!(short.lines().count() < long.lines().count());
    assert!(long.find("\nExamples:") > long.find("--help"), "examples stand last:\n{long}");
    for shell in ["bash", "zsh", "fish"] {
        mailtide.run(&["completions", shell]).expect(0).says(&["mailtide"]);
    }
    mailtide.run(&["man"]).expect(0).says(&[".TH", "EXIT STATUS"]);
    // A disk that is full behind the output is.
    for command in ["man", "completions bash"] {
        mailtide.run_shell(&format!("\"$MAILTIDE\" {command} >/dev/full")).expect(1).says(&["cannot be written"]);
    }
    // A closed pipe is no error.
    let outcome = mailtide.run_shell("\"$MAILTIDE\" man | head -n 1; \"$MAILTIDE\" sync --help | true");
    assert!(!outcome.stderr.contains("panicked"), "{}", outcome.stderr);
}
