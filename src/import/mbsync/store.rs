//! `MaildirStore`: the tree's root, its layout, and where INBOX is.

use super::super::draft::{Draft, Key, Value, Weight};
use super::super::source::Surroundings;
use super::super::tree::{self, Naming};
use super::parse::Section;
use crate::config::MailboxFilter;
use crate::mail::MailboxName;

/// Where the tree is, before and after.
pub(super) struct Place {
    root: String,
    naming: Naming,
    /// Where mbsync has INBOX, unless names have a part before them.
    inbox: Option<String>,
}

impl Place {
    /// Reads a store; `prefix` is what its mailboxes' names have in common, which becomes part of the place.
    pub(super) fn of(store: &Section, prefix: &str, around: &Surroundings) -> Place {
        let inbox = around.path(store.word("inbox").unwrap_or("~/Maildir"));
        let path = store.word("path").map(|path| around.path(path));
        let style = store.word("subfolders").unwrap_or_default().to_ascii_lowercase();
        let flatten = store.word("flatten").and_then(|sign| sign.chars().next());
        let (root, naming) = match (style.as_str(), path) {
            ("maildir++", _) | (_, None) => (inbox.clone(), Naming::MaildirPlusPlus),
            (_, Some(path)) => {
                let root = if prefix.is_empty() { path } else { format!("{path}/{prefix}") };
                let naming = match (flatten, style.as_str()) {
                    (Some(sign), _) => Naming::Flat(sign),
                    (None, "legacy") => Naming::Legacy,
                    (None, _) => Naming::Nested,
                };
                (root, naming)
            }
        };
        Place { root, naming, inbox: Some(inbox).filter(|_| prefix.is_empty()) }
    }

    /// Where mbsync has a mailbox.
    pub(super) fn directory(&self, name: &MailboxName) -> Option<String> {
        match (&self.inbox, self.naming) {
            (Some(inbox), _) if name.is_inbox() => Some(inbox.clone()),
            (_, Naming::Nested) => Some(format!("{}/{}", self.root, name.path())),
            (_, Naming::MaildirPlusPlus) => {
                Some(format!("{}/{}", self.root, name.segments().map(|s| format!(".{s}")).collect::<String>()))
            }
            (_, Naming::Flat(_) | Naming::Legacy) if name.segments().count() == 1 => {
                Some(format!("{}/{}", self.root, name.path()))
            }
            (_, Naming::Flat(_) | Naming::Legacy) => None,
        }
    }

    /// Puts root and layout into `draft`, and what else the store says.
    pub(super) fn describe(&self, draft: &mut Draft, store: &Section) {
        draft.set(Key::Maildir, self.root.clone());
        draft.set(Key::Layout, if self.naming == Naming::MaildirPlusPlus { "maildir++" } else { "nested" });
        if let (Naming::Legacy | Naming::Flat(_), Some(line)) = (self.naming, store.last(&["subfolders", "flatten"])) {
            let why = "is no layout here; mailboxes made from now on are nested directories.";
            draft.lost(Key::Layout, &line.setting, why);
        }
        if let Some(line) = store.last(&["path"]) {
            if !line.word().ends_with('/') {
                draft.lost(
                    Key::Maildir,
                    &line.setting,
                    "does not end with `/`: directories whose names only begin so are not found.",
                );
            }
            if !line.word().starts_with(['/', '~', '$']) {
                draft.lost(Key::Maildir, &line.setting, "starts at mbsync's working directory; here, at this file's.");
            }
        }
        leftovers(draft, store);
    }

    /// Says what has to be done where INBOX is not where Mailtide looks for it.
    pub(super) fn inbox(&self, draft: &mut Draft, around: &Surroundings) {
        let Some(Value::List(globs)) = draft.get(Key::Mailboxes) else { return };
        let selected = MailboxFilter::default().narrowed(globs).is_ok_and(|f| f.selects(&MailboxName::inbox()));
        let Some(inbox) = self.inbox.as_ref().filter(|_| selected && self.naming != Naming::MaildirPlusPlus) else {
            return;
        };
        let wanted = format!("{}/INBOX", self.root);
        if *inbox == wanted {
            return;
        }
        let text = format!("mbsync has INBOX in {inbox}; Mailtide looks for it in {wanted}.");
        if !around.real(inbox).join("cur").is_dir() {
            return draft.note(Key::Maildir, Weight::Explains, text);
        }
        let commands = if *inbox == self.root {
            let from = ["cur", "new", "tmp"].map(|sub| tree::place(inbox, sub)).join(" ");
            format!("mkdir -p {to} && mv -n {from} {to}", to = tree::place(&wanted, ""))
        } else {
            format!(
                "mkdir -p {} && mv -n {} {}",
                tree::place(&self.root, ""),
                tree::place(inbox, ""),
                tree::place(&wanted, "")
            )
        };
        let text = format!(
            "{text} Move it before the first run, or INBOX is fetched anew, see the configuration.\n    {commands}"
        );
        draft.note(Key::Maildir, Weight::Differs, text);
    }

    /// Looks at the tree itself for names that mbsync writes in another way.
    pub(super) fn names(&self, draft: &mut Draft, around: &Surroundings) {
        let mut names = tree::names(&around.real(&self.root), self.naming);
        // They move with INBOX.
        names
            .foreign
            .retain(|(_, name)| self.naming == Naming::MaildirPlusPlus || !name.is_below(&MailboxName::inbox()));
        tree::into(draft, &self.root, names, "mbsync");
    }
}

/// What a store says that is not about the place.
pub(super) fn leftovers(draft: &mut Draft, store: &Section) {
    for line in &store.settings {
        let setting = &line.setting;
        match line.key().as_str() {
            "path" | "inbox" | "subfolders" | "flatten" | "trash" => {}
            "altmap" => draft.moot(setting, "is about mbsync's own state; file names may be any."),
            "infodelimiter" if line.word() != ":" => {
                draft.lost(Key::Maildir, setting, "has no counterpart: flags stand behind `:2,` in file names.");
            }
            "infodelimiter" => draft.moot(setting, "is the default."),
            "mapinbox" => draft.lost(Key::Rename, setting, "has no counterpart: INBOX keeps its name."),
            "maxsize" => {
                draft.lost(Key::Mailboxes, setting, "has no counterpart: Mailtide takes messages of every size.")
            }
            "trashnewonly" | "trashremotenew" => draft.lost(Key::Trash, setting, "has no counterpart."),
            _ => draft.lost(None, setting, "is unknown and was passed over."),
        }
    }
}
