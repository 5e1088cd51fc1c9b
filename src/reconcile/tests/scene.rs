//! A small account written down in a few words, and plans as lines.

use std::collections::BTreeMap;

use crate::mail::*;
use crate::reconcile::view::*;
use crate::reconcile::{Action, Disposal, Here, Input, Names, Plan, Relatives, Relocation, Side, reconcile};

pub const ACCOUNT: AccountId = AccountId(7);
/// The mtime of every file; messages arrived at another time.
pub const MODIFIED: UnixSeconds = UnixSeconds(1);
pub const VALIDITY: UidValidity = UidValidity(10);

pub fn name(path: &str) -> MailboxName {
    MailboxName::parse(path).unwrap()
}

pub fn uid(n: u32) -> Uid {
    Uid::new(n).unwrap()
}

pub fn file(id: &str) -> FileId {
    FileId::new(id)
}

/// `"SF work"`: letters first, then keywords.
pub fn flags(text: &str) -> Flags {
    let mut flags = Flags::none();
    let (letters, keywords) = text.split_once(' ').unwrap_or((text, ""));
    for flag in SystemFlag::ALL.into_iter().filter(|f| letters.contains(f.letter())) {
        flags.system.insert(flag);
    }
    flags.keywords.extend(keywords.split_whitespace().filter_map(Keyword::new));
    flags
}

/// The content of body `n`: sizes and Message-IDs follow from it.
pub fn content(n: u8) -> Content {
    Content { digest: Digest([n; 32]), wire_size: 100 + u64::from(n), message_id: Some(MessageIdHash(n.into())) }
}

/// A link of UID `n`, file `f{n}` and body `n`.
pub fn link(n: u8, presence: Presence, agreed: &str) -> Link {
    let Content { digest, wire_size, message_id } = content(n);
    Link {
        uid: uid(n.into()),
        file: file(&format!("f{n}")),
        presence,
        flags: flags(agreed),
        size: wire_size,
        digest,
        message_id,
        internal_date: UnixSeconds(0),
        email_id: None,
    }
}

/// An account with its observation. Mailboxes are named as they are first used.
#[derive(Clone)]
pub struct Scene {
    pub base: Base,
    pub local: LocalView,
    pub remote: RemoteView,
    pub intents: BTreeMap<MailboxName, Vec<Intent>>,
    pub relatives: Relatives,
    pub names: Names,
    pub policy: Policy,
}

impl Default for Scene {
    fn default() -> Self {
        let policy = Policy {
            direction: Direction::Both,
            deletions: Deletions::Expunge,
            keywords: Keywords::Synced,
            expunge: Expunge::Named,
        };
        let (base, local, remote) = Default::default();
        let (intents, relatives, names) = Default::default();
        Scene { base, local, remote, intents, relatives, names, policy }
    }
}

pub fn checkpoint() -> RemoteCheckpoint {
    RemoteCheckpoint {
        uid_validity: VALIDITY,
        uid_next: Uid::new(100),
        highest_modseq: Some(ModSeq(5)),
        messages: 1,
        permanent: PermanentFlags::everything(),
        object_id: None,
    }
}

impl Scene {
    /// A known mailbox that both sides have, each fully listed and empty so far.
    pub fn with(mailboxes: &[&str]) -> Scene {
        let mut scene = Scene::default();
        for path in mailboxes {
            let (remote, local) = (Some(checkpoint()), Some(LocalCheckpoint::default()));
            let (links, id) = (Some(BTreeMap::new()), MailboxId::of_path(path));
            scene.base.insert(name(path), BaseMailbox { remote, local, links, ..BaseMailbox::new(id) });
            scene.local(path);
            scene.remote(path);
        }
        scene
    }

    pub fn local(&mut self, path: &str) -> &mut LocalListing {
        let keywords = KeywordRoom { known: Default::default(), free: 26 };
        let listed = LocalMailbox::Listed(LocalListing { files: BTreeMap::new(), keywords });
        match self.local.mailboxes.entry(name(path)).or_insert(listed) {
            LocalMailbox::Listed(listing) => listing,
            _ => panic!("{path} is not listed"),
        }
    }

    pub fn remote(&mut self, path: &str) -> &mut RemoteListing {
        let listing = RemoteListing {
            uid_next: None,
            uid_validity: VALIDITY,
            messages: BTreeMap::new(),
            coverage: Coverage::Everything,
            permanent: PermanentFlags::everything(),
        };
        match self.remote.mailboxes.entry(name(path)).or_insert(RemoteMailbox::Observed(listing)) {
            RemoteMailbox::Observed(listing) => listing,
            _ => panic!("{path} is not observed"),
        }
    }

    pub fn link(&mut self, path: &str, link: Link) -> &mut Self {
        self.base.get_mut(&name(path)).unwrap().links.as_mut().unwrap().insert(link.uid, link);
        self
    }

    /// A linked file, as it is now.
    pub fn file(&mut self, path: &str, id: &str, now: &str) -> &mut Self {
        let content = LocalContent::Unread;
        self.local(path).files.insert(file(id), LocalFile { flags: flags(now), content });
        self
    }

    /// A file that was read.
    pub fn new_file(&mut self, path: &str, id: &str, body: u8, now: &str) -> &mut Self {
        self.file_from(path, id, body, now, None)
    }

    pub fn file_from(&mut self, path: &str, id: &str, body: u8, now: &str, origin: Option<u32>) -> &mut Self {
        let mailbox = MailboxId::of_path(path);
        let origin = origin.map(|n| Origin { account: ACCOUNT, mailbox, uid_validity: VALIDITY, uid: uid(n) });
        let content = LocalContent::Known { content: content(body), unstamped: None, modified: MODIFIED, origin };
        self.local(path).files.insert(file(id), LocalFile { flags: flags(now), content });
        self
    }

    /// A linked message, as it is now.
    pub fn message(&mut self, path: &str, n: u32, now: &str) -> &mut Self {
        let none = RemoteMessage { flags: flags(now), ..RemoteMessage::default() };
        self.remote(path).messages.insert(uid(n), none);
        self
    }

    /// A message without a link, of which size and Message-ID are known.
    pub fn new_message(&mut self, path: &str, n: u32, body: u8, now: &str) -> &mut Self {
        let Content { wire_size, message_id, .. } = content(body);
        let (size, internal_date) = (Some(wire_size), Some(UnixSeconds(0)));
        let seen = RemoteMessage { flags: flags(now), size, internal_date, message_id, ..RemoteMessage::default() };
        self.remote(path).messages.insert(uid(n), seen);
        self
    }

    /// A message without a link, whose content was read.
    pub fn read_message(&mut self, path: &str, n: u32, body: u8, now: &str) -> &mut Self {
        self.new_message(path, n, body, now);
        self.remote(path).messages.get_mut(&uid(n)).unwrap().content = Some(content(body));
        self
    }

    pub fn intent(&mut self, path: &str, id: &str, body: u8, from: u32) -> &mut Self {
        self.intent_with(path, id, body, from, "")
    }

    /// An intent whose message arrives with the flags `sent`.
    pub fn intent_with(&mut self, path: &str, id: &str, body: u8, from: u32, sent: &str) -> &mut Self {
        let mailbox = MailboxId::of_path(path);
        let (uid_next, flags) = (Uid::new(from), flags(sent));
        let intent = Intent { mailbox, file: file(id), content: content(body), uid_next, flags };
        self.intents.entry(name(path)).or_default().push(intent);
        self
    }

    pub fn plan(&self) -> Plan {
        let all = self.base.keys().chain(self.local.mailboxes.keys()).chain(self.remote.mailboxes.keys());
        let ids: MailboxIds = all.map(|name| (name.clone(), MailboxId::of_path(name.path()))).collect();
        reconcile(&Input {
            base: &self.base,
            local: &self.local,
            remote: &self.remote,
            ids: &ids,
            account: ACCOUNT,
            intents: &self.intents,
            relatives: &self.relatives,
            names: &self.names,
            policy: &self.policy,
        })
    }

    /// The plan, one line an action.
    pub fn lines(&self) -> Vec<String> {
        lines(&self.plan())
    }
}

pub fn lines(plan: &Plan) -> Vec<String> {
    plan.actions().map(|(name, action)| format!("{name}: {}", line(action))).collect()
}

fn line(action: &Action) -> String {
    let bare = |flags: &Flags| if flags.is_empty() { "-".to_owned() } else { flags.to_string() };
    match action {
        Action::RenameMailbox { side: Some(side), from } => format!("rename {side} {from}"),
        Action::RenameMailbox { side: None, from } => format!("was {from}"),
        Action::Move(relocation) => format!("move {}", relocated(relocation)),
        Action::Copy(relocation) => format!("copy {}", relocated(relocation)),
        Action::CreateMailbox { side } => format!("create {side}"),
        Action::ResetMailbox => "reset".into(),
        Action::Link { uid, file, flags } => format!("link {uid} {file} {}", bare(flags)),
        Action::Rename { uid, file } => format!("rename {uid} {file}"),
        Action::Agree { uids, flags } => format!("agree {uids} {}", bare(flags)),
        Action::Download { uids, octets } => format!("download {uids} ({octets})"),
        Action::Upload { file, flags, octets } => format!("upload {file} {} ({octets})", bare(flags)),
        Action::SetFlags { side, uids, change } => format!("flags {side} {uids} {change}"),
        Action::Delete { side, uids, disposal } => {
            let how = match disposal {
                Disposal::Expunge => "expunge",
                Disposal::Trash => "trash",
                Disposal::Mark => "mark",
            };
            format!("{how} {side} {uids}")
        }
        Action::MovedOut { uids, to, left_out } => format!("moved out {uids} to {to} ({left_out:?})"),
        Action::Keep { side, uids } => format!("keep {side} {uids}"),
        Action::Forget { uids } => format!("forget {uids}"),
        Action::RemoveMailbox { side } => format!("remove {side}"),
        Action::ForgetMailbox => "forget mailbox".into(),
    }
}

fn relocated(relocation: &Relocation) -> String {
    let Relocation { from, uid, here, flags, local, remote, .. } = relocation;
    let here = match here {
        Here::File(file) => format!("as file {file}"),
        Here::Message(uid) => format!("as UID {uid}"),
    };
    let mut line = format!("{} {from} {uid} {here}", relocation.side());
    for (what, flags) in [("agreed", flags.to_string()), ("local", local.to_string()), ("server", remote.to_string())] {
        if !flags.is_empty() {
            line.push_str(&format!(" {what} {flags}"));
        }
    }
    line
}

/// Fails with the plan's lines when they are not those wanted.
#[track_caller]
pub fn expect(scene: &Scene, want: &[&str]) {
    assert_eq!(scene.lines(), want);
}

pub use Side::{Local, Remote};
