//! What users and other programs do on either side, at random; [`super::apply`] does it.

use mailtide::mail::{Flags, Keyword, MailboxName, SystemFlag};
use mailtide::reconcile::Side;
use proptest::prelude::*;
use proptest::strategy::Union;

#[derive(Debug, Clone)]
pub enum Edit {
    Deliver {
        side: Side,
        mailbox: u8,
        flags: Flags,
    },
    /// The same new message arrives on both sides by itself.
    DeliverTwice {
        mailbox: u8,
        local: Flags,
        remote: Flags,
    },
    Delete {
        side: Side,
        which: Which,
    },
    Flag {
        side: Side,
        which: Which,
        flag: u8,
    },
    /// A file gets another name where it is.
    Rename {
        which: Which,
    },
    Move {
        side: Side,
        which: Which,
        to: u8,
        how: How,
    },
    /// A copy in the same mailbox.
    Copy {
        side: Side,
        which: Which,
    },
    /// A copy in any mailbox.
    CopyTo {
        side: Side,
        which: Which,
        to: u8,
        how: How,
    },
    /// Everything in a mailbox goes, or every second message.
    MoveMany {
        side: Side,
        from: u8,
        to: u8,
        every: usize,
        how: How,
    },
    MakeMailbox {
        side: Side,
        mailbox: u8,
    },
    RemoveMailbox {
        side: Side,
        mailbox: u8,
    },
    /// UIDVALIDITY changes.
    Renumber {
        mailbox: u8,
    },
    /// With what is below it.
    RenameMailbox {
        side: Side,
        which: Which,
        to: u8,
    },
    /// Without what is below it, where the layout allows.
    RenameDirectory {
        which: Which,
        to: u8,
    },
    /// Both sides rename it, each for itself.
    RenameTwice {
        which: Which,
        local: u8,
        remote: u8,
    },
    /// Two mailboxes take each other's name.
    SwapMailboxes {
        side: Side,
        one: Which,
        other: Which,
    },
}

/// One of those there are, as a part of their range: [`prop::sample::Index`] that can be written down.
#[derive(Debug, Clone, Copy)]
pub struct Which(pub usize);

impl Which {
    pub fn get<T>(self, all: &[T]) -> Option<&T> {
        all.get(((all.len() as u128 * self.0 as u128) >> usize::BITS) as usize)
    }
}

/// How a message gets to another place.
#[derive(Debug, Clone, Copy)]
pub struct How {
    /// The file keeps its name, as `mv` and `cp` do, or gets a new one, as mutt does.
    pub name: Name,
    /// A flag that changes in the same breath.
    pub flag: Option<u8>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Name {
    Kept,
    New,
}

/// Which edits a property is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// Messages in mailboxes that stay.
    Messages,
    /// Mailboxes come and go as well.
    Mailboxes,
    /// And UIDVALIDITY changes.
    Everything,
    /// Messages in mailboxes that stay, with copies of them.
    Copies,
    /// Deletions, and messages that are marked deleted and stay.
    Marks,
    /// Messages move, and are copied, between mailboxes that stay.
    Moves,
    /// And mailboxes get other names.
    Renames,
    /// And come and go, and UIDVALIDITY changes.
    All,
    /// The same as it happens in a life: mostly mail that comes, is read, flagged and filed.
    Life,
}

impl Scope {
    /// How often each kind of edit comes: deliveries, deletions, copies in place, moves and copies, mailboxes made and
    /// removed, UIDVALIDITY, marks, renames of mailboxes.
    fn weights(self) -> [u32; 8] {
        match self {
            Scope::Messages => [4, 3, 0, 2, 0, 0, 0, 0],
            Scope::Mailboxes => [4, 3, 0, 2, 1, 0, 0, 0],
            Scope::Everything => [4, 3, 0, 2, 1, 1, 0, 0],
            Scope::Copies => [4, 3, 3, 2, 0, 0, 0, 0],
            Scope::Marks => [4, 3, 0, 2, 0, 0, 6, 0],
            Scope::Moves => [4, 1, 1, 8, 0, 0, 0, 0],
            Scope::Renames => [6, 1, 0, 4, 0, 0, 0, 5],
            Scope::All => [6, 2, 1, 6, 1, 1, 1, 4],
            Scope::Life => [16, 5, 1, 6, 1, 1, 2, 1],
        }
    }
}

pub fn edits(scope: Scope, most: usize) -> impl Strategy<Value = Vec<Edit>> {
    prop::collection::vec(edit(scope), 0..=most)
}

fn edit(scope: Scope) -> impl Strategy<Value = Edit> {
    use Edit::*;
    let [deliveries, deletions, copies, moves, mailboxes, renumber, marks, renames] = scope.weights();
    let side = || prop_oneof![Just(Side::Local), Just(Side::Remote)];
    let which = || any::<usize>().prop_map(Which);
    let mailbox = || 0..if renames > 0 { NAMES } else { MAILBOXES };
    let many = u32::from(moves > 2);
    let all: [(u32, BoxedStrategy<Edit>); 18] = [
        (
            deliveries,
            (side(), mailbox(), flags()).prop_map(|(side, mailbox, flags)| Deliver { side, mailbox, flags }).boxed(),
        ),
        (
            1,
            (mailbox(), flags(), flags())
                .prop_map(|(mailbox, local, remote)| DeliverTwice { mailbox, local, remote })
                .boxed(),
        ),
        (deletions, (side(), which()).prop_map(|(side, which)| Delete { side, which }).boxed()),
        (4, (side(), which(), 0..FLAGS).prop_map(|(side, which, flag)| Flag { side, which, flag }).boxed()),
        (marks, (side(), which()).prop_map(|(side, which)| Flag { side, which, flag: TRASHED }).boxed()),
        (1, which().prop_map(|which| Rename { which }).boxed()),
        (
            moves,
            (side(), which(), mailbox(), how())
                .prop_map(|(side, which, to, how)| Move { side, which, to, how })
                .boxed(),
        ),
        (copies, (side(), which()).prop_map(|(side, which)| Copy { side, which }).boxed()),
        (
            moves / 2 * many,
            (side(), which(), mailbox(), how())
                .prop_map(|(side, which, to, how)| CopyTo { side, which, to, how })
                .boxed(),
        ),
        (
            many,
            (side(), mailbox(), mailbox(), 1usize..3, how())
                .prop_map(|(side, from, to, every, how)| MoveMany { side, from, to, every, how })
                .boxed(),
        ),
        (mailboxes, (side(), mailbox()).prop_map(|(side, mailbox)| MakeMailbox { side, mailbox }).boxed()),
        (mailboxes, (side(), mailbox()).prop_map(|(side, mailbox)| RemoveMailbox { side, mailbox }).boxed()),
        (renumber, mailbox().prop_map(|mailbox| Renumber { mailbox }).boxed()),
        (renames, (side(), which(), 0..NAMES).prop_map(|(side, which, to)| RenameMailbox { side, which, to }).boxed()),
        (renames / 4, (which(), 0..NAMES).prop_map(|(which, to)| RenameDirectory { which, to }).boxed()),
        (
            renames / 4,
            (which(), 0..NAMES, 0..NAMES)
                .prop_map(|(which, local, remote)| RenameTwice { which, local, remote })
                .boxed(),
        ),
        (renames / 4, (which(), 0..NAMES).prop_map(|(which, to)| RenameTwice { which, local: to, remote: to }).boxed()),
        (
            renames / 4,
            (side(), which(), which()).prop_map(|(side, one, other)| SwapMailboxes { side, one, other }).boxed(),
        ),
    ];
    Union::new_weighted(all.into_iter().filter(|(weight, _)| *weight > 0).collect())
}

fn how() -> impl Strategy<Value = How> {
    let name = prop_oneof![Just(Name::Kept), Just(Name::New)];
    (name, prop::option::weighted(0.2, 0..FLAGS)).prop_map(|(name, flag)| How { name, flag })
}

/// Mailboxes that there are to begin with.
const MAILBOXES: u8 = 3;
/// Names that mailboxes can get.
const NAMES: u8 = 6;
const FLAGS: u8 = 7;
pub const TRASHED: u8 = 3;

pub fn mailbox(n: u8) -> MailboxName {
    let path = ["INBOX", "A", "A/B", "C", "C/B", "D"][usize::from(n)];
    MailboxName::parse(path).expect("it is a name")
}

pub fn all_mailboxes() -> impl Iterator<Item = MailboxName> {
    (0..MAILBOXES).map(mailbox)
}

pub fn flag(n: u8) -> Flags {
    let mut flags = Flags::none();
    match n {
        0 => flags.system.insert(SystemFlag::Seen),
        1 => flags.system.insert(SystemFlag::Flagged),
        2 => flags.system.insert(SystemFlag::Passed),
        TRASHED => flags.system.insert(SystemFlag::Trashed),
        n => flags.keywords.extend(Keyword::new(&format!("k{n}"))),
    }
    flags
}

fn flags() -> impl Strategy<Value = Flags> {
    // Mostly few; `\Deleted` comes from later edits only.
    prop::collection::vec(prop_oneof![3 => Just(0), 1 => Just(1), 1 => 4..FLAGS], 0..3)
        .prop_map(|all| all.into_iter().fold(Flags::none(), |sum, n| sum.union(&flag(n))))
}
