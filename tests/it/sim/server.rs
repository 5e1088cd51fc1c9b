//! The server of the simulated world, and what a server can or cannot do.

use std::collections::BTreeMap;

use mailtide::mail::{Flags, MailboxName, PermanentFlags, Uid, UidValidity};

use super::world::Body;

#[derive(Debug, Clone)]
pub struct Server {
    pub mailboxes: BTreeMap<MailboxName, Mailbox>,
    pub kind: Kind,
    numbers: u32,
}

/// What the server can.
#[derive(Debug, Clone)]
pub struct Kind {
    /// CONDSTORE: a listing may tell changes only.
    pub modseq: bool,
    /// UIDPLUS: APPEND tells the UID, EXPUNGE can be told UIDs.
    pub uidplus: bool,
    /// MOVE: a message leaves its old place as it comes to the new one.
    pub moves: bool,
    /// Which UID a copy got can be found out.
    pub tells_copies: bool,
    /// OBJECTID: EMAILIDs and MAILBOXIDs.
    pub object_ids: bool,
    pub permanent: PermanentFlags,
    pub trash: Option<MailboxName>,
    /// Bodies are not read to compare them; all Message-IDs are unique then.
    pub headers_only: bool,
}

impl Kind {
    /// It can everything, as far as `modseq` allows.
    pub fn full(modseq: bool) -> Kind {
        Kind {
            modseq,
            uidplus: true,
            moves: true,
            tells_copies: true,
            object_ids: false,
            permanent: PermanentFlags::everything(),
            trash: None,
            headers_only: false,
        }
    }
}

#[derive(Debug, Clone)]
pub struct Mailbox {
    pub uid_validity: UidValidity,
    pub uid_next: Uid,
    pub modseq: u64,
    pub messages: BTreeMap<Uid, Message>,
    pub vanished: BTreeMap<Uid, u64>,
    /// MAILBOXID: stays when it is renamed.
    pub object_id: u32,
}

#[derive(Debug, Clone)]
pub struct Message {
    pub body: Body,
    pub flags: Flags,
    pub modseq: u64,
    /// INTERNALDATE.
    pub date: i64,
    /// EMAILID: the same for all copies that the server made of it.
    pub email_id: u32,
}

impl Server {
    pub fn new(kind: Kind) -> Server {
        Server { mailboxes: BTreeMap::new(), kind, numbers: 100 }
    }

    fn number(&mut self) -> u32 {
        self.numbers += 1;
        self.numbers
    }

    /// Makes a mailbox; one that is there stays.
    pub fn make(&mut self, name: &MailboxName) {
        if !self.mailboxes.contains_key(name) {
            let (uid_validity, object_id) = (UidValidity(self.number()), self.number());
            let (messages, vanished) = Default::default();
            let new = Mailbox { uid_validity, uid_next: Uid::MIN, modseq: 1, messages, vanished, object_id };
            self.mailboxes.insert(name.clone(), new);
        }
    }

    /// Gives all messages of a mailbox new UIDs, in another order, under a new UIDVALIDITY.
    pub fn renumber(&mut self, name: &MailboxName) {
        let Some(old) = self.mailboxes.remove(name) else { return };
        self.make(name);
        self.mailboxes.get_mut(name).into_iter().for_each(|new| new.object_id = old.object_id);
        for message in old.messages.into_values().rev() {
            self.place(name, message);
        }
    }

    /// Appends a message with the flags that can be kept.
    pub fn append(&mut self, name: &MailboxName, body: Body, flags: &Flags, date: i64) -> Option<Uid> {
        let email_id = self.number();
        self.place(name, Message { body, flags: flags.clone(), modseq: 0, date, email_id })
    }

    /// Puts a message that comes from elsewhere on the server into a mailbox.
    pub fn place(&mut self, name: &MailboxName, message: Message) -> Option<Uid> {
        let flags = self.kind.permanent.storable(&message.flags);
        let mailbox = self.mailboxes.get_mut(name)?;
        mailbox.modseq += 1;
        let (uid, modseq) = (mailbox.uid_next, mailbox.modseq);
        mailbox.uid_next = uid.next().expect("UIDs suffice");
        mailbox.messages.insert(uid, Message { flags, modseq, ..message });
        Some(uid)
    }

    /// RENAME: what is below comes along (RFC 3501 §6.3.5). Nothing is replaced.
    pub fn rename(&mut self, from: &MailboxName, to: &MailboxName) -> bool {
        super::rename::with_below(&mut self.mailboxes, from, to)
    }
}

impl Mailbox {
    /// Changes flags; a message that is not there is no error (RFC 3501 §6.4.8).
    pub fn set_flags(&mut self, uid: Uid, to: &Flags) {
        if let Some(message) = self.messages.get_mut(&uid) {
            self.modseq += 1;
            message.flags = to.clone();
            message.modseq = self.modseq;
        }
    }

    pub fn remove(&mut self, uid: Uid) -> Option<Message> {
        let message = self.messages.remove(&uid)?;
        self.modseq += 1;
        self.vanished.insert(uid, self.modseq);
        Some(message)
    }
}
