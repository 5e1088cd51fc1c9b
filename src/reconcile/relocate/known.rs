//! Which linked messages one that came to a mailbox on the server may be, by what is known of it without its body.

use std::collections::{BTreeMap, BTreeSet};

use super::super::Input;
use super::super::delta::LocalSide;
use super::super::plan::{Action, Plan};
use super::super::view::RemoteMessage;
use super::{Left, Source, downloads, file_of, links, started_anew};
use crate::mail::{BaseMailbox, Digest, Flags, Link, MailboxName, MessageIdHash, Presence, Uid, UnixSeconds};

/// Size, INTERNALDATE and Message-ID.
pub(super) type Key = (u64, UnixSeconds, MessageIdHash);

pub(super) fn key_of(message: &RemoteMessage) -> Option<Key> {
    Some((message.size?, message.internal_date?, message.message_id?))
}

/// A message that one of a kind may be; those that the server calls the same are one.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Claim<'a> {
    Called(&'a str),
    At(MailboxName, Uid),
}

/// Everything that the new messages of a plan may be.
pub(super) struct Known<'a> {
    by_email: BTreeMap<&'a str, Vec<Source<'a>>>,
    by_key: BTreeMap<Key, Vec<Source<'a>>>,
    /// Links without an EMAILID, as those of what we sent, of a content that some EMAILID stands for.
    nameless: BTreeMap<Digest, Vec<Source<'a>>>,
    claims: BTreeMap<Key, BTreeSet<Claim<'a>>>,
}

impl<'a> Known<'a> {
    /// Of these `sources`; `None` when nothing that is to be downloaded is known by anything.
    pub(super) fn gather<S>(input: &'a Input<'_>, plan: &Plan, sources: impl FnOnce() -> S) -> Option<Self>
    where
        S: Iterator<Item = Source<'a>>,
    {
        let (by_email, by_key, nameless, claims) = Default::default();
        let mut known = Known { by_email, by_key, nameless, claims };
        for (name, action) in plan.actions() {
            for (uid, message) in downloads(input, name, action) {
                known.expect(name, uid, message);
            }
        }
        if known.by_email.is_empty() && known.by_key.is_empty() {
            return None;
        }
        let sources: Vec<Source<'a>> = sources().collect();
        for source in &sources {
            if let Some(found) = source.link.email_id.as_deref().and_then(|id| known.by_email.get_mut(id)) {
                found.push(*source);
            }
            let key = source.link.message_id.map(|id| (source.link.size, source.link.internal_date, id));
            if let Some(found) = key.and_then(|key| known.by_key.get_mut(&key)) {
                found.push(*source);
            }
        }
        let called: BTreeSet<Digest> = known.by_email.values().flatten().map(|s| s.link.digest).collect();
        for source in sources.iter().filter(|s| s.link.email_id.is_none() && called.contains(&s.link.digest)) {
            known.nameless.entry(source.link.digest).or_default().push(*source);
        }
        Some(known)
    }

    fn expect(&mut self, name: &MailboxName, uid: Uid, message: &'a RemoteMessage) {
        let called = message.email_id.as_deref();
        if let Some(id) = called {
            self.by_email.entry(id).or_default();
        }
        if let Some(key) = key_of(message) {
            self.by_key.entry(key).or_default();
            let claim = called.map_or_else(|| Claim::At(name.clone(), uid), Claim::Called);
            self.claims.entry(key).or_default().insert(claim);
        }
    }

    /// The linked messages that `message` is one with.
    pub(super) fn sources(&self, message: &RemoteMessage) -> Vec<Source<'a>> {
        let called = message.email_id.as_deref().and_then(|id| self.by_email.get(id));
        if let Some(called) = called.filter(|sources| !sources.is_empty()) {
            let contents: BTreeSet<Digest> = called.iter().map(|s| s.link.digest).collect();
            let nameless = contents.iter().filter_map(|digest| self.nameless.get(digest)).flatten();
            return called.iter().chain(nameless).copied().collect();
        }
        let Some(key) = key_of(message).filter(|key| self.claims.get(key).map(BTreeSet::len) == Some(1)) else {
            return Vec::new();
        };
        let alike = self.by_key.get(&key).map_or(&[][..], Vec::as_slice);
        // Two EMAILIDs that differ are two messages.
        let told_apart = |s: &&Source<'a>| s.link.email_id.is_some() && message.email_id.is_some();
        let alike: Vec<Source<'a>> = alike.iter().filter(|s| !told_apart(s)).copied().collect();
        let contents: BTreeSet<Digest> = alike.iter().map(|s| s.link.digest).collect();
        if contents.len() == 1 { alike } else { Vec::new() }
    }
}

/// Links whose file is there, be it under a new name.
pub(super) fn with_file<'a>(input: &'a Input<'a>, plan: &Plan) -> impl Iterator<Item = Source<'a>> + use<'a> {
    let mut renamed: BTreeMap<MailboxName, BTreeMap<Uid, &'a Flags>> = BTreeMap::new();
    for (name, action) in plan.actions() {
        if let Action::Rename { uid, file } = action
            && let Some((_, flags)) = file_of(input, name, file)
        {
            renamed.entry(name.clone()).or_default().insert(*uid, flags);
        }
    }
    let with_file = links(input).filter(|(_, _, link)| link.presence != Presence::RemoteOnly);
    let source = move |(mailbox, base, link): (&'a MailboxName, Option<&'a BaseMailbox>, &'a Link)| {
        let here = LocalSide::of(input.local, mailbox, base).delta(link).now(link);
        let flags = here.or_else(|| renamed.get(mailbox)?.get(&link.uid).copied())?;
        (!started_anew(input.remote_side(mailbox), base)).then_some(Source { mailbox, link, flags, left: Left::No })
    };
    with_file.filter_map(source)
}
