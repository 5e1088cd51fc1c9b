//! Facts against the model, on any sequence and one by one.

use proptest::prelude::*;

use super::super::Traits;
use super::*;
use crate::mail::SystemFlags;

fn any_flags() -> impl Strategy<Value = Flags> {
    (0u8..64, prop::sample::subsequence(vec!["Work", "$Label1", "work-2"], 0..3)).prop_map(|(bits, names)| {
        let mut all = flags(&names);
        all.system = SystemFlags::from_bits(bits);
        all
    })
}

fn any_link() -> impl Strategy<Value = Link> {
    (1u32..12, prop::bool::ANY, any_flags(), 0..3).prop_map(|(n, hard_one, flags, presence)| {
        let presence = [Presence::Both, Presence::LocalOnly, Presence::RemoteOnly][presence as usize];
        Link { flags, presence, ..if hard_one { hard(n) } else { plain(n) } }
    })
}

fn any_fact() -> impl Strategy<Value = Fact> {
    let id = || (1u32..4).prop_map(MailboxId);
    let uid = || (1u32..12).prop_map(uid);
    let file = || "[ab]{1,2}".prop_map(FileId::new);
    prop_oneof![
        6 => id().prop_map(known),
        1 => id().prop_map(Fact::MailboxForgotten),
        1 => id().prop_map(|id| Fact::MailboxRenamed(id, MailboxName::parse(&format!("New/{id}")).unwrap())),
        1 => id().prop_map(Fact::MailboxReset),
        12 => (id(), any_link()).prop_map(|(id, link)| Fact::Linked(id, link)),
        3 => (id(), uid(), file()).prop_map(|(id, uid, file)| Fact::Renamed(id, uid, file)),
        3 => (id(), uid(), any_flags()).prop_map(|(id, uid, flags)| Fact::FlagsAgreed(id, uid, flags)),
        3 => (id(), uid(), any_flags())
            .prop_map(|(id, uid, flags)| Fact::PresenceChanged(id, uid, Presence::LocalOnly, flags)),
        3 => (id(), prop::collection::vec(uid(), 0..4))
            .prop_map(|(id, uids)| Fact::Unlinked(id, uids.into_iter().collect())),
        2 => (id(), prop::option::of(uid()), any_flags()).prop_map(|(id, uid_next, named)| {
            let permanent = PermanentFlags { named, any_keyword: false };
            Fact::RemoteChecked(id, RemoteCheckpoint { uid_next, permanent, ..checkpoint() })
        }),
        2 => (id(), any::<i64>()).prop_map(|(id, t)| Fact::LocalChecked(id, LocalCheckpoint { new_time: t, ..DIRECTORIES })),
        2 => (id(), file(), prop::option::of(uid()))
            .prop_map(|(id, file, uid_next)| Fact::Intended(Intent { file, uid_next, ..intent(id) })),
        2 => (id(), file()).prop_map(|(id, file)| Fact::Settled(id, file)),
        2 => (id(), prop::collection::vec(uid(), 0..4))
            .prop_map(|(id, uids)| Fact::Arriving(id, uids.into_iter().collect())),
        1 => id().prop_map(Fact::Arrived),
    ]
}

proptest! {
    #[test]
    fn facts_lead_where_the_model_says(batches in prop::collection::vec(prop::collection::vec(any_fact(), 0..12), 1..12)) {
        let mut state = State::in_memory(AccountId(1)).unwrap();
        let mut model = Model::default();
        let everything: Vec<Fact> = (1..4).map(|n| known(MailboxId(n))).collect();
        for batch in std::iter::once(&everything).chain(&batches) {
            let accepted = model.record(batch);
            prop_assert_eq!(state.record(batch).is_ok(), accepted);
            prop_assert_eq!(Model::of(&state), model.clone());
            // A batch that is recorded again, because a crash hid that it was, changes nothing.
            let _ = state.record(batch);
            prop_assert_eq!(Model::of(&state), model.clone());
        }
    }
}

#[test]
fn each_fact_comes_back_from_the_disk() {
    let dir = tempfile::tempdir().unwrap();
    let (a, b) = (MailboxId(u32::MAX), MailboxId(0));
    let mut model = Model::default();
    State::create(dir.path(), "work", AccountId(u32::MAX)).unwrap();
    for batch in [
        vec![known(a), known(b), Fact::Linked(a, hard(u32::MAX)), Fact::Linked(a, plain(1)), Fact::Linked(b, plain(1))],
        vec![Fact::RemoteChecked(a, checkpoint()), Fact::LocalChecked(a, DIRECTORIES), Fact::Intended(intent(a))],
        vec![Fact::Renamed(a, uid(1), FileId::new("b")), Fact::FlagsAgreed(a, uid(1), flags(&["\\Draft", "x"]))],
        vec![Fact::PresenceChanged(b, uid(1), Presence::LocalOnly, flags(&["\\Deleted"]))],
        vec![Fact::FlagsAgreed(a, uid(1), Flags::none()), Fact::Settled(a, intent(a).file)],
        vec![Fact::Arriving(a, UidSet::range(uid(3), uid(5))), Fact::Arriving(b, UidSet::range(uid(1), Uid::MAX))],
        vec![Fact::Arriving(a, UidSet::range(uid(9), uid(9))), Fact::Arrived(b)],
        vec![Fact::Unlinked(a, UidSet::range(Uid::MIN, Uid::MAX)), Fact::LocalChecked(b, LocalCheckpoint::default())],
        vec![],
    ] {
        let mut state = State::open(dir.path(), "work").unwrap().unwrap();
        assert_eq!(state.account_id(), AccountId(u32::MAX));
        state.record(&batch).unwrap();
        assert!(model.record(&batch));
        drop(state);
        assert_eq!(Model::of(&State::open(dir.path(), "work").unwrap().unwrap()), model);
    }
}

#[test]
fn a_reset_or_forgotten_mailbox_keeps_nothing_and_leaves_others_alone() {
    let (a, b) = (MailboxId(1), MailboxId(2));
    let full = |id| {
        [
            known(id),
            Fact::Linked(id, plain(1)),
            Fact::Linked(id, plain(2)),
            Fact::RemoteChecked(id, checkpoint()),
            Fact::LocalChecked(id, DIRECTORIES),
            Fact::Intended(intent(id)),
            Fact::Arriving(id, UidSet::range(uid(3), uid(5))),
        ]
    };
    let mut state = State::in_memory(AccountId(1)).unwrap();
    state.record(&full(b)).unwrap();
    let other = Model::of(&state);
    state.record(&full(a)).unwrap();

    state.record(&[Fact::MailboxReset(a)]).unwrap();
    let base = state.base(&|n| *n == name(a)).unwrap();
    let bare = BaseMailbox::new(a);
    assert_eq!(base.into_iter().collect::<Vec<_>>(), [(name(a), bare)]);
    assert_eq!((state.links(a).unwrap().len(), state.intents(a).unwrap().len()), (0, 0));
    assert_eq!(state.arriving().unwrap().keys().collect::<Vec<_>>(), [&b]);

    state.record(&full(a)).unwrap();
    state.record(&[Fact::MailboxForgotten(a)]).unwrap();
    assert_eq!(Model::of(&state), other);
    // Forgotten and known again within one batch: counted from nothing.
    state.record(&full(a)).unwrap();
    state.record(&[Fact::Linked(a, plain(3)), Fact::MailboxForgotten(a), known(a), Fact::Linked(a, plain(9))]).unwrap();
    assert_eq!(state.base(&|_| true).unwrap()[&name(a)].link_count, 1);
}

#[test]
fn a_batch_with_a_fact_about_an_unknown_mailbox_is_refused_as_a_whole() {
    let mut state = State::in_memory(AccountId(1)).unwrap();
    let (a, b) = (MailboxId(1), MailboxId(2));
    for wrong in [
        Fact::Linked(b, plain(1)),
        Fact::RemoteChecked(b, checkpoint()),
        Fact::LocalChecked(b, DIRECTORIES),
        Fact::Intended(intent(b)),
    ] {
        let error = state.record(&[known(a), Fact::Linked(a, plain(1)), wrong]).unwrap_err();
        assert_eq!(error.what(), "A fact names a mailbox that the state does not know");
        assert_eq!(Model::of(&state), Model::default());
    }
}

#[test]
fn what_arrives_adds_up_before_its_mailbox_is_known_and_is_dropped_at_once() {
    let mut state = State::in_memory(AccountId(1)).unwrap();
    let (a, b) = (MailboxId(1), MailboxId(2));
    let set = |text: &str| UidSet::parse(text).unwrap();
    state.record(&[Fact::Arriving(a, set("4,9")), Fact::Arriving(b, UidSet::new())]).unwrap();
    state.record(&[known(a), Fact::Arriving(a, set("5:6"))]).unwrap();
    assert_eq!(state.arriving().unwrap(), BTreeMap::from([(a, set("4:6,9"))]));
    state.record(&[Fact::Arrived(a), Fact::Arrived(b)]).unwrap();
    assert_eq!(state.arriving().unwrap(), BTreeMap::new());
}

#[test]
fn checkpoints_of_another_policy_are_worth_nothing() {
    let mut state = State::in_memory(AccountId(1)).unwrap();
    let (a, b) = (MailboxId(1), MailboxId(2));
    state.check_under("pull").unwrap();
    let half = [known(a), known(b), Fact::Linked(a, plain(1)), Fact::LocalChecked(a, DIRECTORIES)];
    state.record(&half).unwrap();
    state.record(&[Fact::RemoteChecked(a, checkpoint()), Fact::Intended(intent(a))]).unwrap();
    let before = Model::of(&state);
    state.check_under("pull").unwrap();
    assert_eq!(Model::of(&state), before);
    assert!(state.was_checked_under("pull").unwrap() && !state.was_checked_under("both").unwrap());

    state.check_under("both").unwrap();
    assert!(state.was_checked_under("both").unwrap());
    let never = i64::MIN;
    let mut after = before.clone();
    let mailbox = &mut after.mailboxes.get_mut(&a).unwrap().1;
    mailbox.remote = Some(RemoteCheckpoint { uid_next: None, highest_modseq: None, ..checkpoint() });
    mailbox.local = Some(LocalCheckpoint { new_time: never, cur_time: never, ..DIRECTORIES });
    assert_eq!(Model::of(&state), after, "links, intents and what UIDs mean are as good as before");
}

#[test]
fn ids_come_from_names_stay_and_never_meet() {
    let mut state = State::in_memory(AccountId(1)).unwrap();
    let (x, y, z) = (name(MailboxId(1)), name(MailboxId(2)), name(MailboxId(3)));
    let first = MailboxId::of_path(x.path());
    assert_eq!(state.id_for(&x).unwrap(), first);

    // The number is taken by a recorded mailbox, the next one by a promise.
    state.promised.borrow_mut().clear();
    state.record(&[Fact::MailboxKnown { id: first, name: y.clone() }]).unwrap();
    state.promised.borrow_mut().insert(MailboxId(first.0.wrapping_add(1)), z.clone());
    let third = MailboxId(first.0.wrapping_add(2));
    assert_eq!(state.id_for(&x).unwrap(), third);
    assert_eq!(state.id_for(&x).unwrap(), third);
    assert_eq!(state.id_for(&y).unwrap(), first);
    state.record(&[Fact::MailboxKnown { id: third, name: x.clone() }]).unwrap();
    assert_eq!(state.id_for(&x).unwrap(), third);
}

#[test]
fn two_mailboxes_swap_their_names_in_one_batch() {
    let temp = tempfile::tempdir().unwrap();
    let mut state = State::create(temp.path(), "work", AccountId(1)).unwrap();
    let (a, b) = (MailboxId(1), MailboxId(2));
    state.record(&[known(a), known(b), Fact::Linked(a, plain(3))]).unwrap();
    state.record(&[Fact::MailboxRenamed(a, name(b)), Fact::MailboxRenamed(b, name(a))]).unwrap();
    let base = state.base(&|_| true).unwrap();
    assert_eq!((base[&name(b)].id, base[&name(b)].link_count, base[&name(a)].id), (a, 1, b));
}

#[test]
fn a_mailbox_whose_name_another_got_and_that_got_none_is_forgotten() {
    let temp = tempfile::tempdir().unwrap();
    let mut state = State::create(temp.path(), "work", AccountId(1)).unwrap();
    let (a, b) = (MailboxId(1), MailboxId(2));
    state.record(&[known(a), known(b), Fact::Linked(a, plain(3)), Fact::Linked(b, plain(3))]).unwrap();
    state.record(&[Fact::MailboxRenamed(a, name(b))]).unwrap();
    let base = state.base(&|_| true).unwrap();
    assert_eq!(base.into_iter().map(|(name, m)| (name, m.id)).collect::<Vec<_>>(), [(name(b), a)]);
}

#[test]
fn kin_are_found_by_content_and_by_size_and_date_in_every_mailbox() {
    let temp = tempfile::tempdir().unwrap();
    let mut state = State::create(temp.path(), "work", AccountId(1)).unwrap();
    let (a, b) = (MailboxId(1), MailboxId(2));
    state.record(&[known(a), known(b), Fact::Linked(a, plain(3)), Fact::Linked(b, hard(4))]).unwrap();
    let by = |digests: &[&Link], dates: &[&Link]| {
        let traits = Traits {
            digests: digests.iter().map(|l| l.digest).collect(),
            dates: dates.iter().map(|l| (l.internal_date, l.size)).collect(),
        };
        state.kin(&traits).unwrap()
    };
    assert_eq!(by(&[&plain(3)], &[]), [(a, plain(3))]);
    assert_eq!(by(&[], &[&hard(4)]), [(b, hard(4))]);
    assert_eq!(by(&[&plain(9)], &[]), []);
    assert_eq!(by(&[], &[&Link { size: 1, ..plain(3) }]), []);
}
