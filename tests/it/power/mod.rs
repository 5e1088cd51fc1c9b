//! Power loss: the order of writes, flushes, renames, commits and commands, read from a trace of the system calls.
//!
//! Each test runs a job under `strace`, reads the trace into events, and holds it to all rules of [`rules`]: nothing is
//! deleted anywhere before what replaces it is durable, and the state never knows more than the disk holds. It also
//! says what the trace must show, so that no rule holds for want of anything to look at.

mod disk;
mod rules;
mod trace;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use rules::Run;
use trace::{Act, is_message};

use crate::world::dovecot::Dovecot;
use crate::world::mail::{Generator, Kind};
use crate::world::maildir::Tree;
use crate::world::maildrop::Maildrop;
use crate::world::pair::{Pair, Setting};
use crate::world::post::Post;
use crate::world::process::Mailtide;
use crate::world::scratch::Scratch;
use crate::world::server::Server;

/// Whether processes may be traced here.
fn can_trace() -> bool {
    let traced = Command::new("strace").args(["-f", "-o", "/dev/null", "true"]).status();
    let can = traced.is_ok_and(|status| status.success());
    if !can {
        eprintln!("**** SKIPPED: the order of durable writes. `strace` is missing, or tracing is not permitted. ****");
    }
    can
}

/// Everything below `dir`, itself included.
fn walk(dir: &Path, found: &mut BTreeSet<PathBuf>) {
    found.insert(dir.to_owned());
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        match entry.file_type().unwrap().is_dir() {
            true => walk(&entry.path(), found),
            false => drop(found.insert(entry.path())),
        }
    }
}

/// What is run: an account, its state's name, and the tree.
struct Subject<'a> {
    scratch: &'a Scratch,
    mailtide: &'a Mailtide,
    config: &'a Path,
    tree: &'a Tree,
    account: &'a str,
}

impl<'a> Subject<'a> {
    fn of(pair: &'a Pair<'_>) -> Subject<'a> {
        let Pair { scratch, mailtide, config, tree, .. } = pair;
        Subject { scratch, mailtide, config, tree, account: "work" }
    }

    fn of_post(post: &'a Post) -> Subject<'a> {
        let Post { scratch, mailtide, config, tree, .. } = post;
        Subject { scratch, mailtide, config, tree, account: "home" }
    }

    /// Syncs under trace, holds what happened to all rules, and gives it back. `foreign` is what another program has put
    /// into the tree and not flushed.
    #[track_caller]
    fn trace(&self, foreign: &[PathBuf]) -> Run {
        self.trace_with("", foreign)
    }

    /// The same with more words for `strace`.
    #[track_caller]
    fn trace_with(&self, more: &str, foreign: &[PathBuf]) -> Run {
        let database = self.mailtide.state().join(format!("{}.sqlite", self.account));
        let files = disk::files_of(&database);
        let mut before = BTreeSet::new();
        walk(self.mailtide.home(), &mut before);
        let output = self.scratch.path().join("trace");
        let line = format!(
            "strace -f -yy -s 100000 -o '{}' -e trace={} {more} \"$MAILTIDE\" sync --config '{}'",
            output.display(),
            trace::CALLS,
            self.config.display()
        );
        self.mailtide.run_shell(&line).expect(0);
        let events = trace::parse(&fs::read_to_string(&output).unwrap());
        let run = Run {
            disk: disk::Disk::new(&events, &before, foreign),
            commits: disk::commits(&events, &database, files),
            events,
            database,
            tree: self.tree.root.clone(),
            home: self.mailtide.home().to_owned(),
            foreign: foreign.to_vec(),
        };
        if let Some(dir) = std::env::var_os("MAILTIDE_TEST_TRACES") {
            let name = format!("{}-{}", std::thread::current().name().unwrap_or_default(), run.events.len());
            fs::copy(&output, Path::new(&dir).join(name)).unwrap();
        }
        let broken = run.broken();
        assert!(broken.is_empty(), "{broken:#?}\n`MAILTIDE_TEST_TRACES=DIR` keeps the traces");
        run
    }
}

impl Run {
    fn delivered(&self) -> usize {
        let delivers = |act: &Act| match act {
            Act::Renamed(from, to) | Act::Linked(from, to) => !is_message(from) && is_message(to),
            _ => false,
        };
        self.events.iter().filter(|event| delivers(&event.act)).count()
    }

    fn removed(&self) -> usize {
        self.events.iter().filter(|event| matches!(&event.act, Act::Removed(path) if is_message(path))).count()
    }

    fn moved(&self) -> usize {
        let moves = |act: &Act| matches!(act, Act::Renamed(from, to) if is_message(from) && is_message(to));
        self.events.iter().filter(|event| moves(&event.act)).count()
    }

    fn says(&self, what: &str) -> bool {
        self.said().any(|(_, line)| line.contains(what))
    }

    /// How many links the state held before the run and after it.
    fn links(&self) -> (usize, usize) {
        let held = |commit: Option<&disk::Commit>| commit.map_or(0, |commit| commit.held.links.len());
        (held(self.commits.first()), held(self.commits.last()))
    }
}

/// An account on this server whose mailboxes `INBOX` and `To` hold `many` and no messages, synchronised; what is said is
/// to be read in the trace.
fn filled(dovecot: &Dovecot, many: usize) -> Pair<'_> {
    let pair = Pair::with(dovecot, Setting { through: Some(dovecot.port()), ..Setting::default() });
    let mut client = dovecot.client();
    client.create("To");
    append(dovecot, many, &[Kind::Plain]);
    pair.sync();
    pair
}

fn append(dovecot: &Dovecot, many: usize, kinds: &[Kind]) {
    let (mut client, mut generator) = (dovecot.client(), Generator::new(many as u64));
    for n in 0..many {
        client.append("INBOX", &generator.of(kinds[n % kinds.len()]), if n % 2 == 0 { &["\\Seen"] } else { &[] });
    }
}

#[test]
fn a_download_is_on_disk_before_it_is_recorded() {
    if !can_trace() {
        return;
    }
    let dovecot = Dovecot::start();
    let pair = Pair::with(&dovecot, Setting { through: Some(dovecot.port()), ..Setting::default() });
    append(&dovecot, 12, &Kind::ALL);
    // The first run makes the tree and the state, too.
    let run = Subject::of(&pair).trace(&[]);
    assert_eq!((run.delivered(), run.links()), (12, (0, 12)));
    append(&dovecot, 3, &Kind::ALL);
    dovecot.client().store("INBOX", "1:4", "+FLAGS (\\Flagged work)");
    let run = Subject::of(&pair).trace(&[]);
    assert_eq!((run.delivered(), run.links(), run.moved()), (3, (12, 15), 4));
}

#[test]
fn an_upload_is_announced_and_what_is_recorded_of_it_is_on_disk() {
    if !can_trace() {
        return;
    }
    for dovecot in [Dovecot::start(), Dovecot::showing("IMAP4rev1")] {
        let pair = filled(&dovecot, 2);
        let mut generator = Generator::new(3);
        let mut written = Vec::new();
        for n in 0..5 {
            let letters = (n % 2 == 0).then_some("S");
            written.push(pair.tree.deliver("INBOX", &format!("17.M{n}.host"), &generator.of(Kind::Mime), letters).path);
        }
        let run = Subject::of(&pair).trace(&written);
        assert!(run.says(" APPEND ") && run.commits.iter().any(|commit| commit.held.intents.len() == 5));
        assert_eq!(run.links(), (2, 7));
    }
}

#[test]
fn files_that_are_found_are_on_disk_before_they_are_linked() {
    if !can_trace() {
        return;
    }
    let dovecot = Dovecot::start();
    let pair = filled(&dovecot, 6);
    // As a run that was killed leaves them: delivered, not flushed for all we know, and not recorded.
    fs::remove_dir_all(pair.mailtide.state()).unwrap();
    let found: Vec<PathBuf> = pair.tree.messages("INBOX").into_iter().map(|message| message.path).collect();
    let run = Subject::of(&pair).trace(&found);
    assert_eq!((run.delivered(), run.links()), (0, (0, 6)));
}

#[test]
fn a_maildrop_is_emptied_of_what_is_on_disk() {
    if !can_trace() {
        return;
    }
    let mut generator = Generator::new(9);
    let mail: Vec<Vec<u8>> = (0..8).map(|_| generator.of(Kind::Plain)).collect();
    let maildrop = Maildrop::start(&mail);
    // A tree three directories deep that nobody has made yet.
    let post = Post::new(&maildrop, "keep = false");
    let deep = post.mailtide.home().join("a/b/Mail");
    let text = fs::read_to_string(&post.config).unwrap();
    fs::write(&post.config, text.replace(post.tree.root.to_str().unwrap(), deep.to_str().unwrap())).unwrap();
    let tree = Tree::new(deep, post.tree.layout);
    let run = Subject { tree: &tree, ..Subject::of_post(&post) }.trace(&[]);
    assert_eq!((run.delivered(), maildrop.messages().len()), (8, 0));
    assert!(run.says("DELE 8") && run.says("QUIT"));
    let deleted = |commit: &disk::Commit| commit.held.messages.values().filter(|message| message.0 == 3).count();
    assert_eq!(run.commits.last().map(deleted), Some(8));
    assert!(run.commits.iter().any(|commit| commit.held.messages.len() == 8 && deleted(commit) == 0));
    // A run that was killed behind its delivery: what it left is ours to flush before the server forgets it.
    generator.of(Kind::Plain);
    for _ in 0..3 {
        maildrop.deliver(&generator.of(Kind::Plain));
    }
    let fetched: Vec<PathBuf> = tree.messages("INBOX").into_iter().map(|message| message.path).collect();
    fs::remove_dir_all(post.mailtide.state()).unwrap();
    let run = Subject { tree: &tree, ..Subject::of_post(&post) }.trace(&fetched);
    assert_eq!((run.delivered(), maildrop.messages().len()), (3, 0));
}

#[test]
fn what_went_from_the_server_is_gone_here_before_it_is_forgotten() {
    if !can_trace() {
        return;
    }
    let dovecot = Dovecot::start();
    let pair = filled(&dovecot, 10);
    dovecot.client().remove("INBOX", "3:5");
    let run = Subject::of(&pair).trace(&[]);
    assert_eq!((run.removed(), run.links()), (3, (10, 7)));
}

#[test]
fn what_went_here_is_expunged_there_before_it_is_forgotten() {
    if !can_trace() {
        return;
    }
    for (dovecot, command) in [(Dovecot::start(), "UID EXPUNGE"), (Dovecot::showing("IMAP4rev1"), " EXPUNGE")] {
        let pair = filled(&dovecot, 10);
        pair.tree.messages("INBOX").into_iter().take(3).for_each(|message| message.delete());
        // A download in the same run is on disk before anything goes there.
        append(&dovecot, 2, &Kind::ALL);
        let run = Subject::of(&pair).trace(&[]);
        assert!(run.says(command));
        assert_eq!((run.delivered(), run.links()), (2, (10, 9)));
    }
}

#[test]
fn a_move_by_the_server_is_safe_at_its_new_place_first() {
    if !can_trace() {
        return;
    }
    let dovecot = Dovecot::start();
    let pair = filled(&dovecot, 10);
    dovecot.client().move_to("INBOX", "2:6", "To");
    dovecot.client().copy_to("INBOX", "1,7", "To");
    let run = Subject::of(&pair).trace(&[]);
    assert_eq!((run.moved(), run.delivered(), run.links()), (5, 0, (10, 12)));
}

/// As on NFS: what may not replace anything is linked first, and then removed.
#[test]
fn where_a_rename_may_replace_the_new_name_is_safe_before_the_old_one_goes() {
    if !can_trace() {
        return;
    }
    let dovecot = Dovecot::start();
    let pair = filled(&dovecot, 10);
    dovecot.client().move_to("INBOX", "2:6", "To");
    append(&dovecot, 2, &Kind::ALL);
    dovecot.client().store("INBOX", "7:8", "+FLAGS (\\Flagged)");
    let run = Subject::of(&pair).trace_with("-e inject=renameat2:error=EINVAL", &[]);
    let linked =
        run.events.iter().filter(|event| matches!(&event.act, Act::Linked(from, _) if is_message(from))).count();
    assert_eq!((linked, run.moved(), run.delivered(), run.links()), (7, 0, 2, (10, 12)));
    pair.assert_equal("linked");
}

#[test]
fn a_move_here_is_copied_there_before_the_original_goes() {
    if !can_trace() {
        return;
    }
    for (dovecot, command) in [
        (Dovecot::start(), "UID MOVE"),
        (Dovecot::showing("IMAP4rev1 UIDPLUS"), "UID COPY"),
        (Dovecot::showing("IMAP4rev1"), "UID COPY"),
    ] {
        let pair = filled(&dovecot, 10);
        let mut moved = Vec::new();
        for message in pair.tree.messages("INBOX").into_iter().take(4) {
            let to = pair.tree.dir("To").join("cur").join(format!("{}:2,{}", moved.len(), message.letters()));
            fs::rename(&message.path, &to).unwrap();
            moved.push(to);
        }
        let run = Subject::of(&pair).trace(&moved);
        assert!(run.says(command));
        assert_eq!(run.links(), (10, 10));
    }
}

#[test]
fn a_migration_is_one_transaction() {
    if !can_trace() {
        return;
    }
    let dovecot = Dovecot::start();
    let pair = filled(&dovecot, 5);
    // As the first version left it: what later ones brought is taken away.
    let state = rusqlite::Connection::open(pair.mailtide.state().join("work.sqlite")).unwrap();
    let newest: u32 = state.pragma_query_value(None, "user_version", |row| row.get(0)).unwrap();
    state
        .execute_batch(
            "DROP TABLE arriving; DROP TABLE message; DROP INDEX link_date; ALTER TABLE intent DROP COLUMN flags; ALTER TABLE intent DROP COLUMN keywords;
             ALTER TABLE account DROP COLUMN policy; ALTER TABLE account DROP COLUMN generation;
             ALTER TABLE account DROP COLUMN sending_since; ALTER TABLE account DROP COLUMN next_serial;
             ALTER TABLE account DROP COLUMN delivering; ALTER TABLE account DROP COLUMN server; PRAGMA user_version = 1",
        )
        .unwrap();
    drop(state);
    append(&dovecot, 2, &Kind::ALL);
    pair.tree.messages("INBOX").remove(0).delete();
    let run = Subject::of(&pair).trace(&[]);
    let mut versions: Vec<u32> = run.commits.iter().map(|commit| commit.held.version).collect();
    versions.dedup();
    assert_eq!(versions, [1, newest]);
    let migrated = run.commits.iter().find(|commit| commit.held.version == newest).unwrap();
    assert_eq!((migrated.held.links.len(), run.links()), (5, (5, 6)));
    pair.assert_equal("migrated");
}
