//! Seeded random edits on both sides, as people make them: with a MUA in the tree, with another client on the server.

use fastrand::Rng;

use super::client::Client;
use super::mail::{Generator, with_lf};
use super::maildir::{Message, Tree};

/// What an editor leaves out.
#[derive(Debug, Clone, Copy, Default)]
pub struct Habits {
    /// Without UIDPLUS a message that another client marked keeps ours from being expunged: a test of its own.
    never_marks_deleted: bool,
    /// What the server's mailbox names cannot hold.
    not_in_names: Option<char>,
}

impl Habits {
    pub const WITHOUT_DELETED: Habits = Habits { never_marks_deleted: true, not_in_names: None };
    /// For a server with `.` as its delimiter.
    pub const WITHOUT_DOTS: Habits = Habits { never_marks_deleted: false, not_in_names: Some('.') };
    /// Cyrus takes no `%` in names.
    pub const WITHOUT_PERCENT: Habits = Habits { never_marks_deleted: false, not_in_names: Some('%') };
}

/// Makes edits; the same seed makes the same ones from the same state.
pub struct Editor {
    rng: Rng,
    mail: Generator,
    habits: Habits,
}

const KEYWORDS: [&str; 4] = ["$Label1", "Work", "later", "$MDNSent"];
const FLAGS: [&str; 6] = ["\\Seen", "\\Flagged", "\\Answered", "\\Draft", "\\Deleted", "$Forwarded"];
const LETTERS: [char; 6] = ['S', 'F', 'R', 'D', 'T', 'P'];
/// Names that either side may get a mailbox by.
const NAMES: [&str; 8] = ["Archive", "Lists", "Entwürfe", "a & b", "with space", "dot.ted", "日本語", "100% sure"];
/// The guard lets fewer than 20 deletions pass; rounds stay below it, tests of the guard do not.
const MOST_IN_A_REMOVED_MAILBOX: usize = 8;

impl Editor {
    pub fn new(seed: u64) -> Editor {
        Editor::with_habits(seed, Habits::default())
    }

    pub fn with_habits(seed: u64, habits: Habits) -> Editor {
        Editor { rng: Rng::with_seed(seed), mail: Generator::new(seed), habits }
    }

    /// Some messages and mailboxes on each side, for a start.
    pub fn fill(&mut self, tree: Option<&Tree>, client: &mut Client) {
        for name in ["Archive", "Archive/2025", "Lists"] {
            client.create(name);
        }
        for mailbox in ["INBOX", "Archive", "Archive/2025", "Lists"] {
            for _ in 0..self.rng.usize(3..12) {
                self.append(client, mailbox);
            }
        }
        let Some(tree) = tree else { return };
        for name in ["INBOX", "Local", "Local/Drafts"] {
            tree.create_mailbox(name);
            for _ in 0..self.rng.usize(1..8) {
                self.deliver(tree, name);
            }
        }
    }

    /// One round: edits on the tree, then edits on the server, neither knowing of the other's.
    pub fn round(&mut self, tree: &Tree, client: &mut Client, edits: usize) {
        for _ in 0..edits {
            self.edit_tree(tree);
        }
        for _ in 0..edits {
            self.edit_server(client);
        }
        if self.rng.bool() {
            // The same message arrives on both sides by itself.
            let bytes = self.mail.any();
            client.append("INBOX", &bytes, &["\\Flagged"]);
            let unique = self.unique();
            tree.deliver("INBOX", &unique, &with_lf(&bytes), Some("S"));
        }
    }

    fn unique(&mut self) -> String {
        format!("17{:08}.M{}P1.mua", self.rng.u32(..100_000_000), self.rng.u32(..))
    }

    fn pick<'a, T>(&mut self, from: &'a [T]) -> Option<&'a T> {
        if from.is_empty() { None } else { from.get(self.rng.usize(..from.len())) }
    }

    fn deliver(&mut self, tree: &Tree, mailbox: &str) {
        let bytes = with_lf(&self.mail.any());
        let unique = self.unique();
        if self.rng.bool() {
            tree.deliver(mailbox, &unique, &bytes, None);
        } else {
            let mut message = tree.deliver(mailbox, &unique, &bytes, Some(""));
            self.change_letters(tree, mailbox, &mut message);
        }
    }

    fn change_letters(&mut self, tree: &Tree, mailbox: &str, message: &mut Message) {
        for _ in 0..self.rng.usize(1..3) {
            let letter = LETTERS[self.rng.usize(..LETTERS.len())];
            if letter != 'T' || !self.habits.never_marks_deleted {
                message.toggle(letter);
            }
        }
        if self.rng.u8(..3) == 0 {
            let keyword = KEYWORDS[self.rng.usize(..KEYWORDS.len())];
            message.toggle(tree.keyword_letter(mailbox, keyword));
        }
    }

    fn edit_tree(&mut self, tree: &Tree) {
        let mailboxes: Vec<String> = tree.mailboxes().into_keys().collect();
        let Some(mailbox) = self.pick(&mailboxes).cloned() else { return };
        let messages = tree.messages(&mailbox);
        let message = self.pick(&messages).cloned();
        match (self.rng.u8(..20), message) {
            (0..5, _) => self.deliver(tree, &mailbox),
            (5..11, Some(mut message)) => self.change_letters(tree, &mailbox, &mut message),
            (11..14, Some(message)) => message.delete(),
            (14, Some(message)) => {
                // Another name for the same file, as some programs give on every change.
                let path = message.path.with_file_name(format!("{}:2,{}", self.unique(), message.letters()));
                std::fs::rename(&message.path, path).unwrap();
            }
            (15, Some(message)) => {
                let to = self.pick(&mailboxes).cloned().unwrap_or_default();
                if to != mailbox && message.letters().chars().all(|c| c.is_ascii_uppercase()) {
                    let name = message.path.file_name().unwrap();
                    std::fs::rename(&message.path, tree.dir(&to).join("cur").join(name)).unwrap();
                }
            }
            (16, Some(message)) => {
                let to = self.pick(&mailboxes).cloned().unwrap_or_default();
                if to != mailbox {
                    let unique = self.unique();
                    tree.deliver(&to, &unique, &message.bytes(), Some("S"));
                }
            }
            (17, _) => {
                if let Some(name) = self.new_name(&mailboxes) {
                    tree.create_mailbox(&name);
                    self.deliver(tree, &name);
                }
            }
            (18, _) if self.may_go(&mailbox, &mailboxes, messages.len()) => tree.delete_mailbox(&mailbox),
            _ => {}
        }
    }

    fn append(&mut self, client: &mut Client, mailbox: &str) {
        let bytes = self.mail.any();
        let mut flags: Vec<&str> = FLAGS.into_iter().filter(|_| self.rng.u8(..4) == 0).collect();
        flags.retain(|f| *f != "\\Deleted" || !self.habits.never_marks_deleted);
        flags.extend(KEYWORDS.into_iter().filter(|_| self.rng.u8(..6) == 0));
        client.append(mailbox, &bytes, &flags);
    }

    fn edit_server(&mut self, client: &mut Client) {
        let mailboxes = client.mailboxes();
        let Some(mailbox) = self.pick(&mailboxes).cloned() else { return };
        let messages: Vec<_> = client.uids(&mailbox).into_iter().collect();
        let message = self.pick(&messages).cloned();
        match (self.rng.u8(..20), message) {
            (0..5, _) => self.append(client, &mailbox),
            (5..11, Some((uid, flags))) => {
                let all: Vec<&str> = FLAGS.into_iter().chain(KEYWORDS).collect();
                let flag = self.pick(&all).copied().unwrap_or_default();
                if flag == "\\Deleted" && self.habits.never_marks_deleted {
                    return;
                }
                let is_set = flags.iter().any(|f| f.eq_ignore_ascii_case(flag));
                let sign = if is_set { '-' } else { '+' };
                client.store(&mailbox, &uid.to_string(), &format!("{sign}FLAGS ({flag})"));
            }
            (11..14, Some((uid, _))) => client.remove(&mailbox, &uid.to_string()),
            (14, Some((uid, _))) => {
                let to = self.pick(&mailboxes).cloned().unwrap_or_default();
                if to != mailbox && !self.holds_copy(client, &mailbox, uid, &to) {
                    client.move_to(&mailbox, &uid.to_string(), &to);
                }
            }
            (15, Some((uid, _))) => {
                let to = self.pick(&mailboxes).cloned().unwrap_or_default();
                if to != mailbox && !self.holds_copy(client, &mailbox, uid, &to) {
                    client.copy_to(&mailbox, &uid.to_string(), &to);
                }
            }
            (16, _) => {
                if let Some(name) = self.new_name(&mailboxes) {
                    client.create(&name);
                    self.append(client, &name);
                }
            }
            (17, _) if self.may_go(&mailbox, &mailboxes, messages.len()) => client.delete_mailbox(&mailbox),
            _ => {}
        }
    }

    /// Whether the message stands in `to` already; what to expect is only clear while contents differ in a mailbox.
    fn holds_copy(&mut self, client: &mut Client, mailbox: &str, uid: u32, to: &str) -> bool {
        let content = client.read(mailbox)[&uid].content;
        client.read(to).values().any(|seen| seen.content == content)
    }

    /// A name that is free, below a mailbox that exists or at the top.
    fn new_name(&mut self, mailboxes: &[String]) -> Option<String> {
        let name = NAMES[self.rng.usize(..NAMES.len())];
        if self.habits.not_in_names.is_some_and(|c| name.contains(c)) {
            return None;
        }
        let parent = self.pick(mailboxes).filter(|p| *p != "INBOX" && *p != "Trash" && p.len() < 40).cloned();
        let full = match parent {
            Some(parent) if self.rng.bool() => format!("{parent}/{name}"),
            _ => name.to_owned(),
        };
        (!mailboxes.contains(&full)).then_some(full)
    }

    fn may_go(&mut self, mailbox: &str, mailboxes: &[String], messages: usize) -> bool {
        let is_leaf = !mailboxes.iter().any(|m| m.starts_with(&format!("{mailbox}/")));
        mailbox != "INBOX" && mailbox != "Trash" && is_leaf && messages <= MOST_IN_A_REMOVED_MAILBOX
    }
}
