//! Mirroring the sides mirrors the plan.
//!
//! A random observation is built twice, once with the sides exchanged: UID n and file n change places. What names a
//! thing by its side (links, renames, keyword letters, PERMANENTFLAGS) is left out of it.

use std::collections::BTreeMap;

use mailtide::mail::{
    BaseMailbox, Content, Digest, FileId, Flags, Link, LocalCheckpoint, MailboxId, MailboxName, PermanentFlags,
    Presence, RemoteCheckpoint, SystemFlag, Uid, UidValidity, UnixSeconds,
};
use mailtide::reconcile::view::{
    Coverage, Deletions, Direction, Expunge, KeywordRoom, Keywords, LocalContent, LocalFile, LocalListing,
    LocalMailbox, LocalView, Policy, RemoteListing, RemoteMailbox, RemoteMessage, RemoteView,
};
use mailtide::reconcile::{Action, Input, Names, Side, reconcile};
use proptest::prelude::*;

use super::world::ACCOUNT;

/// One message: its agreed flags when it has a link, and its flags on either side when it is there.
type Fate = (Option<u8>, Option<u8>, Option<u8>);

/// A side of a mailbox: not there, unreadable, or read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sight {
    Absent,
    Unknown,
    Read,
}

#[derive(Debug, Clone)]
struct Case {
    messages: Vec<Fate>,
    local: Sight,
    remote: Sight,
    direction: Direction,
    deletions: Deletions,
}

fn cases() -> impl Strategy<Value = Case> {
    let flags = || prop::option::of(0u8..64);
    let sight = || prop_oneof![6 => Just(Sight::Read), 1 => Just(Sight::Absent), 1 => Just(Sight::Unknown)];
    let direction = prop_oneof![Just(Direction::Both), Just(Direction::Pull), Just(Direction::Push)];
    let deletions = prop_oneof![Just(Deletions::Expunge), Just(Deletions::Mark), Just(Deletions::Never)];
    // Without a link on one side only: how twins are recognised has its own tests.
    let one_sided = |(agreed, here, there): Fate| (agreed, here, there.filter(|_| agreed.is_some() || here.is_none()));
    let messages = prop::collection::vec((flags(), flags(), flags()).prop_map(one_sided), 0..8);
    (messages, sight(), sight(), direction, deletions).prop_map(|(messages, local, remote, direction, deletions)| {
        Case { messages, local, remote, direction, deletions }
    })
}

fn mirrored(case: &Case) -> Case {
    let Case { messages, local, remote, direction, deletions } = case.clone();
    let direction = match direction {
        Direction::Both => Direction::Both,
        Direction::Pull => Direction::Push,
        Direction::Push => Direction::Pull,
    };
    let messages = messages.into_iter().map(|(agreed, here, there)| (agreed, there, here)).collect();
    Case { messages, local: remote, remote: local, direction, deletions }
}

fn flags(bits: u8) -> Flags {
    let mut flags = Flags::none();
    for (n, flag) in SystemFlag::ALL.into_iter().enumerate() {
        if bits & (1 << n) != 0 {
            flags.system.insert(flag);
        }
    }
    flags
}

/// What is done to a message, in words that hold for both sides.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Done {
    Copied(Side),
    Flags(Side, String),
    Deleted(Side, mailtide::reconcile::Disposal),
    Kept(Side),
    Agreed(String),
    Forgotten,
    MailboxMade(Side),
    MailboxRemoved(Side),
    MailboxForgotten,
}

fn other(side: Side) -> Side {
    match side {
        Side::Local => Side::Remote,
        Side::Remote => Side::Local,
    }
}

/// Plans the case; message 0 stands for the mailbox.
fn outcome(case: &Case) -> Vec<(u32, Done)> {
    let name = MailboxName::parse("A").expect("it is a name");
    let uid = |n: usize| Uid::new(n as u32 + 1).expect("it is a UID");
    let file = |n: usize| FileId::new(format!("{:03}", n + 1));
    let content = |n: usize| Content { digest: Digest([n as u8; 32]), wire_size: 1, message_id: None };
    let (mut links, mut files, mut messages) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
    for (n, (agreed, here, there)) in case.messages.iter().enumerate() {
        if let Some(agreed) = agreed {
            let Content { digest, wire_size: size, message_id } = content(n);
            let (flags, internal_date) = (flags(*agreed), UnixSeconds(0));
            let presence = Presence::Both;
            let link = Link {
                uid: uid(n),
                file: file(n),
                presence,
                flags,
                size,
                digest,
                message_id,
                internal_date,
                email_id: None,
            };
            links.insert(uid(n), link);
        }
        if let Some(here) = here {
            let known =
                LocalContent::Known { content: content(n), unstamped: None, modified: UnixSeconds(0), origin: None };
            let content = if agreed.is_some() { LocalContent::Unread } else { known };
            files.insert(file(n), LocalFile { flags: flags(*here), content });
        }
        if let Some(there) = there {
            messages.insert(uid(n), RemoteMessage { flags: flags(*there), size: Some(1), ..RemoteMessage::default() });
        }
    }
    let permanent = PermanentFlags::everything();
    let uid_validity = UidValidity(1);
    let remote = Some(RemoteCheckpoint {
        uid_validity,
        uid_next: None,
        highest_modseq: None,
        messages: 0,
        permanent: permanent.clone(),
        object_id: None,
    });
    let local = Some(LocalCheckpoint::default());
    let known = BaseMailbox {
        remote,
        local,
        link_count: links.len() as u64,
        links: Some(links),
        ..BaseMailbox::new(MailboxId::of_path(name.path()))
    };
    let mut views = (LocalView::default(), RemoteView::default());
    // Another mailbox, so that no side is empty.
    let beside = MailboxName::parse("beside").expect("it is a name");
    let empty = LocalListing { files: BTreeMap::new(), keywords: KeywordRoom::default() };
    views.0.mailboxes.insert(beside.clone(), LocalMailbox::Listed(empty));
    let (none, coverage) = (BTreeMap::new(), Coverage::Everything);
    let any = PermanentFlags::everything();
    let empty =
        RemoteListing { uid_validity: UidValidity(2), messages: none, coverage, permanent: any, uid_next: None };
    views.1.mailboxes.insert(beside, RemoteMailbox::Observed(empty));
    let listing = LocalListing { files, keywords: KeywordRoom::default() };
    match case.local {
        Sight::Absent => None,
        Sight::Unknown => views.0.mailboxes.insert(name.clone(), LocalMailbox::Unknown),
        Sight::Read => views.0.mailboxes.insert(name.clone(), LocalMailbox::Listed(listing)),
    };
    let listing = RemoteListing { uid_validity, uid_next: None, messages, coverage: Coverage::Everything, permanent };
    match case.remote {
        Sight::Absent => None,
        Sight::Unknown => views.1.mailboxes.insert(name.clone(), RemoteMailbox::Unknown),
        Sight::Read => views.1.mailboxes.insert(name.clone(), RemoteMailbox::Observed(listing)),
    };
    let (direction, deletions) = (case.direction, case.deletions);
    let policy = Policy { direction, deletions, keywords: Keywords::Synced, expunge: Expunge::Named };
    let plan = reconcile(&Input {
        base: &[(name.clone(), known)].into(),
        local: &views.0,
        remote: &views.1,
        ids: &[(name.clone(), MailboxId::of_path(name.path()))].into(),
        account: ACCOUNT,
        intents: &BTreeMap::new(),
        relatives: &BTreeMap::new(),
        names: &Names::default(),
        policy: &policy,
    });
    let mut done: Vec<(u32, Done)> = plan.actions().flat_map(|(_, action)| in_words(action)).collect();
    done.sort();
    done
}

fn in_words(action: &Action) -> Vec<(u32, Done)> {
    let each = |uids: &mailtide::mail::UidSet, done: Done| uids.iter().map(|uid| (uid.get(), done.clone())).collect();
    match action {
        Action::Download { uids, .. } => each(uids, Done::Copied(Side::Local)),
        Action::Upload { file, .. } => {
            vec![(file.to_string().parse().expect("files are numbers"), Done::Copied(Side::Remote))]
        }
        Action::SetFlags { side, uids, change } => each(uids, Done::Flags(*side, change.to_string())),
        Action::Delete { side, uids, disposal } => each(uids, Done::Deleted(*side, *disposal)),
        Action::Keep { side, uids } => each(uids, Done::Kept(*side)),
        Action::Agree { uids, flags } => each(uids, Done::Agreed(flags.to_string())),
        Action::Forget { uids } => each(uids, Done::Forgotten),
        Action::CreateMailbox { side } => vec![(0, Done::MailboxMade(*side))],
        Action::RemoveMailbox { side } => vec![(0, Done::MailboxRemoved(*side))],
        Action::RenameMailbox { .. } | Action::Move(_) | Action::Copy(_) => panic!("there is one mailbox only"),
        Action::ForgetMailbox => vec![(0, Done::MailboxForgotten)],
        // Only a server has UIDs to start anew.
        Action::ResetMailbox => vec![],
        Action::MovedOut { .. } | Action::Link { .. } | Action::Rename { .. } => {
            panic!("nothing to recognise here: {action:?}")
        }
    }
}

fn mirror(done: Done) -> Done {
    match done {
        Done::Copied(side) => Done::Copied(other(side)),
        Done::Flags(side, change) => Done::Flags(other(side), change),
        Done::Deleted(side, disposal) => Done::Deleted(other(side), disposal),
        Done::Kept(side) => Done::Kept(other(side)),
        Done::MailboxMade(side) => Done::MailboxMade(other(side)),
        Done::MailboxRemoved(side) => Done::MailboxRemoved(other(side)),
        same @ (Done::Agreed(_) | Done::Forgotten | Done::MailboxForgotten) => same,
    }
}

/// Where the sides differ by nature: a known mailbox that the server lost is filled again in one go, its UIDs new.
fn is_one_sided(case: &Case) -> bool {
    let lost = |sight: Sight, new: bool| sight == Sight::Absent && new;
    let new_here = case.messages.iter().any(|(agreed, here, _)| agreed.is_none() && here.is_some());
    let new_there =
        case.messages.iter().any(|(agreed, here, there)| agreed.is_none() && here.is_none() && there.is_some());
    let restored = |sight: Sight, one_way: Direction| sight == Sight::Absent && case.direction == one_way;
    lost(case.remote, new_here)
        || lost(case.local, new_there)
        || restored(case.remote, Direction::Push)
        || restored(case.local, Direction::Pull)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    #[test]
    fn mirroring_the_sides_mirrors_the_plan(case in cases()) {
        prop_assume!(!is_one_sided(&case));
        let twin = mirrored(&case);
        prop_assume!(!is_one_sided(&twin));
        let mut want: Vec<(u32, Done)> = outcome(&case).into_iter().map(|(n, done)| (n, mirror(done))).collect();
        want.sort();
        prop_assert_eq!(outcome(&twin), want);
    }
}
