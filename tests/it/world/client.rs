//! A second IMAP client, on the `imap` crate and without TLS: edits the server's side and reads all of it.

use std::collections::BTreeMap;
use std::net::TcpStream;

use imap::Session;
use imap::types::Flag;

use super::compare::{FlagSet, Seen, Snapshot};
use super::names;
use super::server::{PASSWORD, USER};

/// A logged-in client. Mailboxes go by the Unicode path with `/` that the local side uses too.
pub struct Client {
    session: Session<TcpStream>,
    prefix: String,
    delimiter: String,
    selected: bool,
}

impl Client {
    pub fn connect(port: u16, prefix: &str) -> Client {
        let stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        let mut client = imap::Client::new(stream);
        client.read_greeting().unwrap();
        let session = client.login(USER, PASSWORD).map_err(|(e, _)| e).unwrap();
        let mut client = Client { session, prefix: prefix.to_owned(), delimiter: "/".to_owned(), selected: false };
        let listed = client.session.list(Some(""), Some("INBOX")).unwrap();
        if let Some(delimiter) = listed.iter().next().and_then(|n| n.delimiter()) {
            client.delimiter = delimiter.to_owned();
        }
        drop(listed);
        client
    }

    /// The mailboxes that can hold mail; names that are containers only are left out.
    pub fn mailboxes(&mut self) -> Vec<String> {
        let listed = self.session.list(Some(""), Some("*")).unwrap();
        let mut found = Vec::new();
        for name in listed.iter() {
            // The crate does not export the attributes' type.
            let attributes = format!("{:?}", name.attributes()).to_ascii_lowercase();
            if ["noselect", "nonexistent"].iter().any(|a| attributes.contains(a)) {
                continue;
            }
            // Nor does it undo the quoting of `\"` and `\\`.
            let wire = name.name().replace("\\\"", "\"").replace("\\\\", "\\");
            let inner = wire.strip_prefix(self.prefix.as_str()).unwrap_or(&wire);
            found.push(inner.split(self.delimiter.as_str()).map(names::from_utf7).collect::<Vec<_>>().join("/"));
        }
        found.sort();
        found
    }

    fn wire(&self, mailbox: &str) -> String {
        if mailbox == "INBOX" {
            return mailbox.to_owned();
        }
        let path: Vec<String> = mailbox.split('/').map(names::to_utf7).collect();
        format!("{}{}", self.prefix, path.join(&self.delimiter))
    }

    pub fn create(&mut self, mailbox: &str) {
        self.session.create(self.wire(mailbox)).unwrap();
    }

    /// Creates a mailbox if the server takes its name.
    pub fn try_create(&mut self, mailbox: &str) -> bool {
        self.session.create(self.wire(mailbox)).is_ok()
    }

    pub fn delete_mailbox(&mut self, mailbox: &str) {
        // Cyrus and Dovecot refuse to delete what is selected.
        self.selected = true;
        self.session.examine("INBOX").unwrap();
        self.session.delete(self.wire(mailbox)).unwrap();
    }

    pub fn rename(&mut self, from: &str, to: &str) {
        self.selected = true;
        self.session.examine("INBOX").unwrap();
        self.session.rename(self.wire(from), self.wire(to)).unwrap();
    }

    pub fn append(&mut self, mailbox: &str, bytes: &[u8], flags: &[&str]) {
        let wire = self.wire(mailbox);
        // The crate takes news of a selected mailbox for a refusal.
        if std::mem::take(&mut self.selected) {
            self.run("UNSELECT");
        }
        // The crate quotes this name without escaping it.
        let wire = wire.replace('\\', "\\\\").replace('"', "\\\"");
        let flags = flags.iter().map(|f| Flag::from((*f).to_owned()));
        self.session.append(&wire, bytes).flags(flags).finish().unwrap();
    }

    fn select(&mut self, mailbox: &str) {
        self.selected = true;
        self.session.select(self.wire(mailbox)).unwrap();
    }

    /// Every message's UID and flags.
    pub fn uids(&mut self, mailbox: &str) -> BTreeMap<u32, FlagSet> {
        self.selected = true;
        if self.session.examine(self.wire(mailbox)).unwrap().exists == 0 {
            return BTreeMap::new();
        }
        let fetched = self.session.uid_fetch("1:*", "(UID FLAGS)").unwrap();
        fetched.iter().map(|f| (f.uid.unwrap(), flag_set(f.flags()))).collect()
    }

    pub fn uid_validity(&mut self, mailbox: &str) -> u32 {
        self.selected = true;
        self.session.examine(self.wire(mailbox)).unwrap().uid_validity.unwrap()
    }

    /// `change` as in `+FLAGS (\Seen)`.
    pub fn store(&mut self, mailbox: &str, uids: &str, change: &str) {
        self.select(mailbox);
        let said = self.session.uid_store(uids, change.replacen("FLAGS", "FLAGS.SILENT", 1)).unwrap();
        drop(said);
    }

    /// Removes these messages for good. UIDPLUS works on every test server, shown or not.
    pub fn remove(&mut self, mailbox: &str, uids: &str) {
        self.store(mailbox, uids, "+FLAGS (\\Deleted)");
        self.run(&format!("UID EXPUNGE {uids}"));
    }

    pub fn move_to(&mut self, mailbox: &str, uids: &str, to: &str) {
        self.select(mailbox);
        let to = self.wire(to);
        self.run(&format!("UID MOVE {uids} \"{to}\""));
    }

    pub fn copy_to(&mut self, mailbox: &str, uids: &str, to: &str) {
        self.select(mailbox);
        let to = self.wire(to);
        self.run(&format!("UID COPY {uids} \"{to}\""));
    }

    /// Every message of a mailbox with its UID.
    pub fn read(&mut self, mailbox: &str) -> BTreeMap<u32, Seen> {
        let uids: Vec<u32> = self.uids(mailbox).into_keys().collect();
        let mut read = BTreeMap::new();
        for chunk in uids.chunks(100) {
            let set = chunk.iter().map(u32::to_string).collect::<Vec<_>>().join(",");
            let fetched = self.session.uid_fetch(set, "(UID FLAGS BODY.PEEK[])").unwrap();
            for fetch in fetched.iter() {
                let body = fetch.body().unwrap_or_default();
                read.insert(fetch.uid.unwrap(), Seen::new(body, flag_set(fetch.flags())));
            }
        }
        assert_eq!(read.len(), uids.len(), "{mailbox}: not every message was delivered");
        read
    }

    /// Everything, read anew.
    pub fn snapshot(&mut self) -> Snapshot {
        let mut snapshot = Snapshot::default();
        for mailbox in self.mailboxes() {
            snapshot.0.insert(mailbox.clone(), Vec::new());
            self.read(&mailbox).into_values().for_each(|seen| snapshot.add(&mailbox, seen));
        }
        snapshot
    }

    /// Whether the server shows a capability.
    pub fn can(&mut self, capability: &str) -> bool {
        self.session.capabilities().unwrap().has_str(capability)
    }

    /// Any other command that must succeed.
    pub fn run(&mut self, command: &str) {
        self.session.run_command_and_check_ok(command).unwrap();
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        let _ = self.session.logout();
    }
}

fn flag_set(flags: &[Flag<'_>]) -> FlagSet {
    let name = |flag: &Flag<'_>| match flag {
        Flag::Recent => None,
        Flag::Custom(keyword) => Some(keyword.to_ascii_lowercase()),
        system => Some(system.to_string()),
    };
    flags.iter().filter_map(name).collect()
}
