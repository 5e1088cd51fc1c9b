//! Random histories: nothing lost, nothing doubled, nothing deleted that is not in the tree, and an end to it.

use std::collections::BTreeMap;
use std::time::Duration;

use proptest::prelude::*;

use super::super::*;
use super::world::{Account, Committed, Content, Message, Server, Trouble, Uidls};

#[derive(Debug, Clone)]
enum Event {
    Arrives(u8),
    /// Another client deletes one.
    Removed(u8),
    /// All UIDLs change.
    Renumbered,
    /// The server forgets that we deleted one.
    RolledBack(u8),
    /// TOP works from now on, or not.
    Tops(bool),
    /// The state is lost.
    Forgets,
    Keep(Keep),
    Hours(u8),
    Session {
        hidden: Vec<u8>,
        fuse: Option<u32>,
        quit_lost: Option<Committed>,
        refused: Vec<u8>,
    },
}

fn keep() -> impl Strategy<Value = Keep> {
    prop_oneof![Just(Keep::Always), Just(Keep::Never), Just(Keep::For(Duration::from_secs(40 * 3600)))]
}

fn event() -> impl Strategy<Value = Event> {
    let few = || prop_oneof![3 => Just(Vec::new()), 1 => prop::collection::vec(0u8..12, 1..6)];
    let lost = prop_oneof![6 => Just(None), 1 => Just(Some(Committed::Yes)), 1 => Just(Some(Committed::No))];
    let session = (few(), prop::option::weighted(0.4, 0u32..16), lost, few())
        .prop_map(|(hidden, fuse, quit_lost, refused)| Event::Session { hidden, fuse, quit_lost, refused });
    prop_oneof![
        6 => (0u8..12).prop_map(Event::Arrives),
        1 => any::<u8>().prop_map(Event::Removed),
        1 => Just(Event::Renumbered),
        1 => any::<u8>().prop_map(Event::RolledBack),
        1 => any::<bool>().prop_map(Event::Tops),
        1 => Just(Event::Forgets),
        1 => keep().prop_map(Event::Keep),
        1 => (0u8..20).prop_map(Event::Hours),
        6 => session,
    ]
}

fn uidls() -> impl Strategy<Value = Uidls> {
    prop_oneof![
        3 => Just(Uidls::Proper),
        1 => Just(Uidls::None),
        1 => Just(Uidls::Pairs),
        1 => Just(Uidls::Numbers),
        1 => Just(Uidls::Content)
    ]
}

/// What has been on the server, and how far copies can be told apart by what happened.
struct History {
    server: Server,
    account: Account,
    now: i64,
    ever: BTreeMap<Content, usize>,
    /// What may come back as it was.
    can_return: Vec<Message>,
    /// Something came back that no session has seen yet; under other UIDLs it would be new.
    returned: bool,
    /// A copy of what we deleted may count as that come back: its UIDL says so, or the state was lost.
    copies_merge: bool,
}

impl History {
    fn happen(&mut self, event: &Event) {
        let pick = |n: u8, of: usize| usize::from(n) % of.max(1);
        match event {
            Event::Arrives(content) => {
                let message = self.server.receive(*content);
                *self.ever.entry(message.content).or_default() += 1;
            }
            Event::Removed(n) if !self.server.messages.is_empty() && !self.shares_uidls() => {
                let at = pick(*n, self.server.messages.len());
                self.server.messages.remove(at);
            }
            Event::Renumbered if !self.returned => {
                self.server.epoch += 1;
                self.can_return.clear();
            }
            Event::RolledBack(n) => {
                // What we deleted returns as the same only where its UIDL says so.
                if self.server.uidls == Uidls::Proper && !self.can_return.is_empty() {
                    let message = self.can_return.remove(pick(*n, self.can_return.len()));
                    self.server.messages.push(message);
                    self.account.deleted.remove(&message);
                    self.returned = true;
                }
            }
            Event::Tops(can) => self.server.can_top = *can,
            Event::Forgets => {
                self.account.known.clear();
                self.account.next = Serial::FIRST;
                self.account.recover();
                self.copies_merge = true;
            }
            Event::Keep(keep) => self.account.policy.keep = *keep,
            Event::Hours(hours) => self.now += i64::from(*hours) * 3600,
            Event::Session { hidden, fuse, quit_lost, refused } => {
                let set = |all: &[u8]| all.iter().map(|n| usize::from(*n)).collect();
                let hidden = if self.shares_uidls() { Default::default() } else { set(hidden) };
                let trouble = Trouble { hidden, fuse: *fuse, quit_lost: *quit_lost, refused: set(refused) };
                self.session(trouble);
            }
            Event::Removed(_) | Event::Renumbered => {}
        }
    }

    /// Where two messages of one size share a UIDL and only one of them is there, nothing tells which.
    fn shares_uidls(&self) -> bool {
        self.server.uidls == Uidls::Pairs
    }

    fn session(&mut self, trouble: Trouble) -> Option<super::world::Ran> {
        let before = self.account.deleted.clone();
        let saw_all = trouble.hidden.is_empty() && trouble.refused.is_empty();
        let ran = self.account.run(&mut self.server, trouble, self.now);
        self.can_return.extend(self.account.deleted.difference(&before));
        self.returned &= !(saw_all && ran.is_some());
        self.nothing_lost();
        self.nothing_doubled();
        ran
    }

    fn nothing_lost(&self) {
        let mut deleted: BTreeMap<Content, usize> = BTreeMap::new();
        self.account.deleted.iter().for_each(|m| *deleted.entry(m.content).or_default() += 1);
        for (content, n) in deleted {
            let least = if self.copies_merge || self.account.unconfirmed { 1 } else { n };
            assert!(self.account.copies(content) >= least, "{content:?}: {n} deleted");
        }
    }

    fn nothing_doubled(&self) {
        for (content, n) in &self.ever {
            assert!(
                self.account.copies(*content) <= *n,
                "{content:?}: {n} came, {} are here",
                self.account.copies(*content)
            );
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn whatever_happens_nothing_is_lost_and_nothing_doubled(
        uidls in uidls(), can_top: bool, first in keep(), newest: bool, events in prop::collection::vec(event(), 1..40),
    ) {
        let order = if newest { Order::Newest } else { Order::Oldest };
        let policy = Policy { keep: first, order, ..Policy::default() };
        let mut history = History {
            server: Server::new(uidls, can_top),
            account: Account { policy, ..Account::default() },
            now: 1_700_000_000,
            ever: BTreeMap::new(),
            can_return: Vec::new(),
            returned: false,
            copies_merge: !matches!(uidls, Uidls::Proper | Uidls::None),
        };
        events.iter().for_each(|event| history.happen(event));

        // A healthy session brings everything, and the next one has nothing to do.
        let keep = history.account.policy.keep;
        history.session(Trouble::default()).expect("a healthy session ends well");
        let mut there: BTreeMap<Content, usize> = BTreeMap::new();
        history.server.messages.iter().for_each(|m| *there.entry(m.content).or_default() += 1);
        for (content, n) in there {
            prop_assert!(history.account.copies(content) >= n, "{content:?}: {n} there");
        }
        prop_assert!(keep != Keep::Never || history.server.messages.is_empty());
        let again = history.session(Trouble::default()).expect("a healthy session ends well");
        let told_apart = history.server.can_top && history.server.messages.iter().all(|m| m.content.header().is_some());
        let mut left = again.plan.actions();
        if uidls != Uidls::Proper {
            // What shared its UIDL with what was deleted just now has it for itself.
            left.retain(|action| !matches!(action, Action::Recognise { .. }));
        }
        if uidls == Uidls::Proper || (told_apart && uidls != Uidls::Numbers) {
            prop_assert_eq!(left, []);
        }
        let delivered = again.plan.fetch.iter().filter(|f| !matches!(f.what, Fetched::Doubtful { .. })).count();
        prop_assert_eq!(delivered, 0, "all is known");
    }
}
