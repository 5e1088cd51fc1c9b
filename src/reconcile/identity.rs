//! Who is the same message: files without a link against UIDs without a link and links without a file.
//!
//! The order of evidence stands in [`super`]. Each file and each UID is matched once at most; contents that occur
//! several times are paired in order, so that as many go out as came in. A Message-ID alone never identifies.

use std::collections::{BTreeMap, BTreeSet};

use super::alike::{Dates, alike};
use super::view::RemoteMessage;
use crate::mail::{
    AccountId, Content, Digest, FileId, Flags, Intent, Link, MailboxId, MessageIdHash, Origin, Uid, UidValidity,
    UnixSeconds,
};

/// A file that needs a UID.
#[derive(Debug)]
pub(super) struct Candidate<'a> {
    pub(super) file: &'a FileId,
    pub(super) flags: &'a Flags,
    pub(super) content: Content,
    /// Without stamps.
    pub(super) plain: Content,
    pub(super) origin: Option<Origin>,
    /// Its mtime; `None` where it has not been read.
    pub(super) modified: Option<UnixSeconds>,
    /// The link whose server copy went, when the file is to go up again; such a file takes over no other link.
    pub(super) was: Option<Uid>,
    pub(super) is: Match,
}

/// What a file turned out to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Match {
    /// A new message.
    Nothing,
    /// This message on the server, which has no link.
    Message(Uid),
    /// The renamed file of this link.
    Renamed(Uid),
    /// This message, so far kept on the server only.
    Kept(Uid),
}

/// Whether the server still has the message of a link whose file is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Server {
    Has,
    Lost,
}

/// Which of several messages of one content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum OfAlike {
    SameFlags,
    Any,
}

/// What two contents have in common that are one message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Common {
    /// Every octet.
    Whole,
    /// All but stamps.
    Plain,
}

/// Where a file's name must say it comes from.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    pub(super) account: AccountId,
    pub(super) mailbox: MailboxId,
    pub(super) uid_validity: UidValidity,
}

impl Place {
    /// Whether a file of this origin came from here.
    pub(super) fn is_of(&self, o: &Origin) -> bool {
        o.is_of(self.account, self.mailbox, self.uid_validity)
    }
}

/// What files are matched against.
#[derive(Debug)]
pub(super) struct Search<'a> {
    pub(super) place: Option<Place>,
    /// Messages on the server without a link; those that were matched are gone from it afterwards.
    pub(super) uids: BTreeMap<Uid, &'a RemoteMessage>,
    /// Links whose file is gone.
    pub(super) gone: BTreeMap<Uid, &'a Link>,
    /// Of those, the ones whose server copy is gone, too: they are the last to claim a renamed file.
    pub(super) lost: BTreeSet<Uid>,
    /// Links kept on the server only, and still there.
    pub(super) kept: BTreeMap<Uid, &'a Link>,
    /// What mtimes tell.
    pub(super) dates: Dates,
    /// Uploads whose outcome is unknown.
    pub(super) intents: BTreeMap<&'a FileId, &'a Intent>,
}

type ByDigest = BTreeMap<Digest, BTreeSet<Uid>>;

impl<'a> Search<'a> {
    /// Fills in [`Candidate::is`] of every file.
    pub(super) fn run(&mut self, files: &mut [Candidate<'a>]) {
        if files.is_empty() {
            return;
        }
        let mut by_digest = ByDigest::new();
        for (uid, message) in &self.uids {
            if let Some(content) = message.content {
                by_digest.entry(content.digest).or_default().insert(*uid);
            }
        }
        self.by_name(files, &mut by_digest);
        self.by_intent(files, &mut by_digest);
        self.by_intent_and_size(files);
        self.renamed(files, Server::Has);
        self.by_content(files, &mut by_digest, Common::Whole);
        let plain = self.uids.iter().filter_map(|(uid, message)| Some((message.plain()?.digest, *uid)));
        let mut by_plain = ByDigest::new();
        plain.for_each(|(digest, uid)| _ = by_plain.entry(digest).or_default().insert(uid));
        self.by_content(files, &mut by_plain, Common::Plain);
        self.alike(files);
        self.renamed(files, Server::Lost);
        let mut kept = digests(self.kept.values());
        for file in files.iter_mut().filter(|f| f.is == Match::Nothing && f.was.is_none()) {
            if let Some(uid) = pop(&mut kept, file.content.digest, None) {
                file.is = Match::Kept(uid);
            }
        }
    }

    fn take(&mut self, file: &mut Candidate<'a>, uid: Uid) {
        self.uids.remove(&uid);
        file.is = Match::Message(uid);
    }

    fn by_name(&mut self, files: &mut [Candidate<'a>], by_digest: &mut ByDigest) {
        let Some(place) = self.place else { return };
        for file in files {
            let Some(uid) = file.origin.filter(|origin| place.is_of(origin)).map(|o| o.uid) else { continue };
            if let Some(message) = self.uids.get(&uid) {
                let same = match message.content {
                    Some(content) => content.digest == file.content.digest,
                    None => message.size == Some(file.content.wire_size),
                };
                if same {
                    by_digest.get_mut(&file.content.digest).map(|uids| uids.remove(&uid));
                    self.take(file, uid);
                }
            } else if !self.lost.contains(&uid)
                && self.gone.get(&uid).is_some_and(|link| link.digest == file.content.digest)
            {
                self.gone.remove(&uid);
                file.is = Match::Renamed(uid);
            }
        }
    }

    fn by_intent(&mut self, files: &mut [Candidate<'a>], by_digest: &mut ByDigest) {
        for file in files.iter_mut().filter(|f| f.is == Match::Nothing) {
            let Some(intent) = self.intent(file) else { continue };
            if let Some(uid) = pop(by_digest, file.content.digest, intent.uid_next) {
                self.take(file, uid);
            }
        }
    }

    fn intent(&self, file: &Candidate<'a>) -> Option<&'a Intent> {
        self.intents.get(file.file).copied().filter(|i| i.content.digest == file.content.digest)
    }

    /// Unread messages of a size and Message-ID that only one content of the tree has, no more of them than uploads
    /// were begun.
    fn by_intent_and_size(&mut self, files: &mut [Candidate<'a>]) {
        if self.intents.is_empty() {
            return;
        }
        let mut unread: BTreeMap<(u64, MessageIdHash), Vec<Uid>> = BTreeMap::new();
        for (uid, message) in self.uids.iter().filter(|(_, m)| m.content.is_none()) {
            if let (Some(size), Some(id)) = (message.size, message.message_id) {
                unread.entry((size, id)).or_default().push(*uid);
            }
        }
        let mut groups: BTreeMap<(u64, MessageIdHash), Vec<&mut Candidate<'a>>> = BTreeMap::new();
        for file in files.iter_mut().filter(|f| f.is == Match::Nothing) {
            if let Some(id) = file.content.message_id {
                groups.entry((file.content.wire_size, id)).or_default().push(file);
            }
        }
        for (key, group) in groups {
            let contents: BTreeSet<Digest> = group.iter().map(|f| f.content.digest).collect();
            let sent = group.into_iter().filter_map(|f| self.intent(f).map(|i| (i.uid_next, f)));
            let mut sent: Vec<_> = sent.collect();
            sent.sort_by_key(|(from, f)| (*from, f.file));
            let Some(from) = sent.first().map(|(from, _)| *from) else { continue };
            let uids = unread.get(&key).into_iter().flatten().filter(|uid| Some(**uid) >= from);
            let uids: Vec<Uid> = uids.copied().collect();
            if contents.len() > 1 || uids.len() > sent.len() {
                continue;
            }
            for ((from, file), uid) in sent.into_iter().zip(uids) {
                if Some(uid) >= from {
                    self.take(file, uid);
                }
            }
        }
    }

    /// Of several alike, those with the file's flags come first.
    fn by_content(&mut self, files: &mut [Candidate<'a>], by_digest: &mut ByDigest, common: Common) {
        for flags in [OfAlike::SameFlags, OfAlike::Any] {
            for file in files.iter_mut().filter(|f| f.is == Match::Nothing) {
                let content = if common == Common::Whole { file.content } else { file.plain };
                let Some(uids) = by_digest.get_mut(&content.digest) else { continue };
                let fits = |uid: &&Uid| {
                    flags == OfAlike::Any || self.uids.get(uid).is_some_and(|message| message.flags == *file.flags)
                };
                if let Some(uid) = uids.iter().find(fits).copied() {
                    uids.remove(&uid);
                    self.take(file, uid);
                }
            }
        }
    }

    /// What needs no look at a body; what was looked at is decided by then.
    fn alike(&mut self, files: &mut [Candidate<'a>]) {
        let open = files.iter().enumerate().filter(|(_, f)| f.is == Match::Nothing && f.was.is_none());
        let open = open.filter_map(|(n, f)| Some((n, f.plain, f.modified?)));
        let unread = self.uids.iter().filter(|(_, m)| m.content.is_none()).map(|(uid, m)| (*uid, *m));
        for (n, uid) in alike(open, unread, self.dates) {
            if let Some(file) = files.get_mut(n) {
                self.take(file, uid);
            }
        }
    }

    /// Of several alike, the link with the file's flags comes first.
    fn renamed(&mut self, files: &mut [Candidate<'a>], server: Server) {
        let is_lost = |link: &&&Link| self.lost.contains(&link.uid) == (server == Server::Lost);
        let mut links = digests(self.gone.values().filter(is_lost));
        let mut flagged: BTreeMap<(Digest, &Flags), BTreeSet<Uid>> = BTreeMap::new();
        for link in self.gone.values().filter(is_lost) {
            flagged.entry((link.digest, &link.flags)).or_default().insert(link.uid);
        }
        for flags in [OfAlike::SameFlags, OfAlike::Any] {
            for file in files.iter_mut().filter(|f| f.is == Match::Nothing && f.was.is_none()) {
                let digest = file.content.digest;
                let uid = match flags {
                    OfAlike::SameFlags => flagged.get_mut(&(digest, file.flags)).and_then(BTreeSet::pop_first),
                    OfAlike::Any => links.get(&digest).and_then(BTreeSet::first).copied(),
                };
                if let Some(uid) = uid {
                    links.get_mut(&digest).map(|uids| uids.remove(&uid));
                    self.gone.remove(&uid);
                    file.is = Match::Renamed(uid);
                }
            }
        }
    }
}

fn digests<'l, 'a: 'l>(links: impl IntoIterator<Item = &'l &'a Link>) -> ByDigest {
    let mut out = ByDigest::new();
    links.into_iter().for_each(|link| _ = out.entry(link.digest).or_default().insert(link.uid));
    out
}

/// Takes the lowest UID of this content, `from` or above.
fn pop(by_digest: &mut ByDigest, digest: Digest, from: Option<Uid>) -> Option<Uid> {
    let uids = by_digest.get_mut(&digest)?;
    let uid = uids.range(from.unwrap_or(Uid::MIN)..).next().copied()?;
    uids.remove(&uid);
    Some(uid)
}
