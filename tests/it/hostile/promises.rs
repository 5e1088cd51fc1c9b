//! What is demanded of every run, whatever the server does.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use super::behaviour::May;
use super::server::Heard;
use crate::world::compare::{Fingerprint, Snapshot};
use crate::world::maildir::Tree;
use crate::world::process::Outcome;
use crate::world::server::{PASSWORD, USER};

/// What the program may hold in memory, built for tests.
pub const MOST_KIB: u64 = 64 * 1024;

/// The password as the wire, a log or a file could have it.
fn password_in_any_form() -> Vec<String> {
    let plain = openssl::base64::encode_block(format!("\0{USER}\0{PASSWORD}").as_bytes());
    let alone = openssl::base64::encode_block(PASSWORD.as_bytes());
    vec![PASSWORD.to_owned(), PASSWORD.escape_default().to_string(), plain, alone]
}

pub fn has_password(text: &str) -> bool {
    password_in_any_form().iter().any(|form| text.contains(form.as_str()))
}

/// No password and no panic, and little memory. That a terminal shows it as it is, is demanded of every run.
pub fn said_safely(outcome: &Outcome, most_kib: u64, said: &str) {
    for text in [&outcome.stdout, &outcome.stderr] {
        assert!(!has_password(text), "a password was said: {said}");
        assert!(!text.contains("panicked"), "{said}");
    }
    assert!(outcome.status.code().is_some_and(|code| code != 101), "{}: {said}", outcome.status);
    // A child begins as a copy of this process, whose peak then counts as its own.
    let ours = fs::read_to_string("/proc/self/status").ok().and_then(|status| {
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?.trim().to_owned();
        line.split(' ').next()?.parse::<u64>().ok()
    });
    let most_kib = most_kib.max(ours.unwrap_or_default());
    assert!(outcome.peak_kib <= most_kib, "{} KiB of memory: {said}", outcome.peak_kib);
}

/// No file below `dir` holds the password.
pub fn nothing_hidden_in(dir: &Path, said: &str) {
    let forms = password_in_any_form();
    for path in all_below(dir).into_iter().filter(|path| path.is_file()) {
        let Ok(bytes) = fs::read(&path) else { continue };
        let text = String::from_utf8_lossy(&bytes);
        assert!(!forms.iter().any(|form| text.contains(form.as_str())), "a password in {}: {said}", path.display());
    }
}

fn all_below(dir: &Path) -> BTreeSet<PathBuf> {
    let mut found = BTreeSet::new();
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() && !path.is_symlink() {
            found.extend(all_below(&path));
        }
        found.insert(path);
    }
    found
}

/// Everything below `scratch` but the tree, the state and what the runs said; and a place a name may try to reach.
pub fn outside(scratch: &Path, tree: &Path, state: &Path) -> BTreeSet<PathBuf> {
    let output = |path: &Path| {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        name.starts_with(".stdout-") || name.starts_with(".stderr-")
    };
    let mut all = all_below(scratch);
    all.retain(|path| !path.starts_with(tree) && !path.starts_with(state) && !output(path));
    all.extend([PathBuf::from("/tmp/mailtide-was-here")].into_iter().filter(|path| path.exists()));
    all
}

/// No mailbox has anything in `tmp`.
pub fn nothing_half(tree: &Tree, said: &str) {
    let tmp = |path: &PathBuf| path.parent().is_some_and(|dir| dir.ends_with("tmp"));
    let half: Vec<_> = all_below(&tree.root).into_iter().filter(tmp).collect();
    assert!(half.is_empty(), "{half:?} is left: {said}");
}

/// Whether a command changes the server or costs a body.
pub fn changes(heard: &Heard) -> bool {
    let text = heard.text.to_ascii_uppercase();
    let verbs = ["APPEND", "CREATE", "DELETE", "RENAME", "EXPUNGE", "UID STORE", "UID COPY", "UID MOVE", "UID EXPUNGE"];
    verbs.iter().any(|verb| text.starts_with(verb)) || text.contains("BODY.PEEK[]")
}

/// How often each message may be on one side.
pub struct Bounds<'a> {
    pub before: &'a Snapshot,
    /// The other side, before.
    pub elsewhere: &'a Snapshot,
    pub expected: &'a Snapshot,
    pub may: Vec<May>,
}

fn counts(snapshot: &Snapshot) -> BTreeMap<Fingerprint, (usize, &str)> {
    let mut counts = BTreeMap::new();
    for seen in snapshot.0.values().flatten() {
        counts.entry(seen.content).or_insert((0, seen.label.as_str())).0 += 1;
    }
    counts
}

impl Bounds<'_> {
    /// What the server said is no excuse on its own side.
    pub fn without(mut self, may: &[May]) -> Self {
        self.may.retain(|m| !may.contains(m));
        self
    }

    /// Nothing is lost that both the past and the right end have, nothing is doubled, nothing comes from nowhere.
    pub fn hold(&self, now: &Snapshot, side: &str, said: &str) {
        let (before, elsewhere) = (counts(self.before), counts(self.elsewhere));
        let (expected, now) = (counts(self.expected), counts(now));
        let may = |may| self.may.contains(&may);
        let count = |of: &BTreeMap<Fingerprint, (usize, &str)>, content| of.get(content).map_or(0, |(n, _)| *n);
        let known = |content| before.contains_key(content) || expected.contains_key(content);
        for (content, (_, label)) in before.iter().chain(&expected) {
            let (then, end, there) = (count(&before, content), count(&expected, content), count(&now, content));
            let may_go = may(May::Go) || may(May::GoThere);
            assert!(there >= then.min(end) || may_go, "{side} has lost “{label}”: {said}");
            let twice = usize::from(may(May::BeTwice) || may(May::Remain));
            assert!(there <= then.max(end) + twice, "{side} has “{label}” {there} times: {said}");
        }
        for (content, (_, label)) in &now {
            let back = may(May::Remain) && elsewhere.contains_key(content);
            assert!(known(content) || back || may(May::Come), "{side} has “{label}”, which is not due: {said}");
        }
    }
}

/// All is there that has to be in the end; what was on the server before may be, once more than it has to be.
pub fn nothing_lost(now: &Snapshot, expected: &Snapshot, before: &Snapshot, said: &str) {
    let (now, expected, before) = (counts(now), counts(expected), counts(before));
    let count = |of: &BTreeMap<Fingerprint, (usize, &str)>, content| of.get(content).map_or(0, |(n, _)| *n);
    for (content, (_, label)) in now.iter().chain(&expected) {
        let (there, end, then) = (count(&now, content), count(&expected, content), count(&before, content));
        assert!(there >= end, "“{label}” is lost in the end: {said}");
        assert!(there <= end.max(then) + usize::from(end + then > 0), "“{label}” is there {there} times: {said}");
    }
}
