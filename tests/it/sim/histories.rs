//! Histories: weeks of mail on two sides, with several people and programs at work on both, also while runs go on, and
//! with runs that are cut off, refused, blind or without their memory. At the end of each day the promises of
//! [`super::chronicle`] hold.
//!
//! A history is made from a number, its seed. The commands stand in [`super`].

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use mailtide::reconcile::Side;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{RngAlgorithm, TestRng, TestRunner};

use super::chronicle::{self, assert_kept, places};
use super::edit::{Edit, Scope, Which, edits, mailbox};
use super::execute::{Faults, sync};
use super::moving::{crowded, servers, without_marks};
use super::promises::{assert_quiet, settle};
use super::server;
use super::state::State;
use super::world::{Body, Layout, World};

/// How many run without being asked for.
const IN_CI: u64 = 300;

/// Histories that failed once: they run as well.
#[rustfmt::skip]
const FOUND: &[u64] = &[136, 314, 969, 1491, 2889, 3095, 3201, 3293, 3315, 3404, 3488, 3843, 3959, 4104, 4498, 4551, 4781, 4793, 5025, 6018, 6764, 8145, 8322, 9028, 9416, 9428, 9796, 9853, 11460, 11500, 11619, 11881, 12835, 12908, 13264, 13486, 13836, 13922, 14517, 14756, 14956, 15347, 15858, 16875, 17099, 17117, 17318, 17809, 17936, 18495, 18960, 19592, 20138, 20978, 22184, 23854, 23885, 24086, 24852, 24923, 25212, 25329, 25709, 25850, 27078, 27263, 27334, 27756, 27899, 28556, 30011, 31193, 31941, 32889, 34218, 35783, 36403, 36893, 37994, 39334, 40133, 40313, 40383, 41195, 41256, 42942, 43269, 44436, 46151, 47071, 47213, 48186, 48801, 49890, 50784, 50953, 51558, 52258, 52550, 52562, 52576, 53211, 53285, 53716, 53799, 54372, 55345, 57742, 57747, 57863, 58446, 58820, 59940, 60903, 61867, 62527, 62758, 63022, 63385, 63550, 63824, 64274, 64662, 64927, 65204, 65378, 65380, 66146, 66185, 66380, 66467, 66559, 67042, 67128, 67618, 69234, 69486, 70344, 72973, 73252, 73314, 73465, 73857, 74475, 74866, 75238, 75378, 75433, 75610, 76817, 79532, 79750, 80043, 80677, 81076, 83230, 83555, 83644, 84487, 86804, 87270, 87738, 88018, 88722, 89164, 90077, 91439, 91753, 91964, 92199, 93338, 93376, 93382, 93535, 93779, 93984, 94149, 94930, 95303, 95482, 96147, 96245, 96499, 96675, 97853, 99542, 106268];

/// After so many failures a search ends.
const MOST_FAILURES: usize = 20;

/// Some weeks of an account.
#[derive(Debug, Clone)]
pub struct History {
    pub server: (server::Kind, Layout),
    /// Every message has a Message-ID of its own.
    pub named: bool,
    pub days: Vec<Day>,
}

/// What users do, runs that something happens to, and then runs until nothing is left to do.
#[derive(Debug, Clone)]
pub struct Day {
    pub edits: Vec<Edit>,
    pub runs: Vec<Run>,
}

/// One run and what happens to it.
#[derive(Debug, Clone)]
pub struct Run {
    pub memory: Memory,
    /// What others do between observation and execution.
    pub meanwhile: Vec<Edit>,
    /// What others do before its n-th step.
    pub during: Vec<(usize, Edit)>,
    pub cut: Option<Cut>,
    /// One in so many messages is refused or cannot be read or written.
    pub refused: Option<u32>,
    /// Mailboxes that cannot be looked into.
    pub blind: Vec<(bool, u8)>,
    /// One in so many files cannot be read.
    pub dark: Option<u32>,
    /// What users do after it.
    pub then: Vec<Edit>,
}

/// What a run knows of the past.
#[derive(Debug, Clone, Copy)]
pub enum Memory {
    Kept,
    Lost,
    /// The state of one of the evenings before.
    Old(Which),
}

/// The run ends before its n-th step, with so many facts not yet written: a kill. With none it is a line that was cut, or
/// a reply that was lost after the server had acted.
#[derive(Debug, Clone, Copy)]
pub struct Cut {
    pub at: usize,
    pub unwritten: usize,
}

fn histories() -> impl Strategy<Value = History> {
    (servers(), any::<bool>(), prop::collection::vec(days(), 1..28)).prop_map(|(server, named, days)| History {
        server,
        named,
        days,
    })
}

fn scoped(most: usize) -> impl Strategy<Value = Vec<Edit>> {
    prop_oneof![6 => edits(Scope::Life, most), 2 => edits(Scope::Moves, most), 1 => edits(Scope::All, most)]
}

fn days() -> impl Strategy<Value = Day> {
    let runs = prop_oneof![
        2 => Just(Vec::new()).boxed(),
        3 => prop::collection::vec(runs(), 1..=1).boxed(),
        1 => prop::collection::vec(runs(), 2..=3).boxed(),
    ];
    (scoped(10), runs).prop_map(|(edits, runs)| Day { edits, runs })
}

fn runs() -> impl Strategy<Value = Run> {
    let memory = prop_oneof![
        20 => Just(Memory::Kept),
        1 => Just(Memory::Lost),
        1 => any::<usize>().prop_map(|n| Memory::Old(Which(n))),
    ];
    let few = |most| prop_oneof![1 => Just(Vec::new()).boxed(), 1 => edits(Scope::Life, most).boxed()];
    let during = prop::collection::vec((0usize..40, edits(Scope::Life, 1)), 0..4).prop_map(|all| {
        all.into_iter().flat_map(|(at, edits)| edits.into_iter().map(move |e| (at, e))).collect::<Vec<_>>()
    });
    let during = prop_oneof![1 => Just(Vec::new()).boxed(), 1 => during.boxed()];
    let cut =
        (0usize..40, prop_oneof![2 => Just(0), 1 => 0usize..12]).prop_map(|(at, unwritten)| Cut { at, unwritten });
    let cut = prop::option::weighted(0.5, cut);
    let one_in = || prop::option::weighted(0.15, 2u32..6);
    let blind =
        prop_oneof![6 => Just(Vec::new()).boxed(), 1 => prop::collection::vec((any::<bool>(), 0u8..6), 1..3).boxed()];
    (memory, few(4), during, cut, one_in(), blind, one_in(), few(3)).prop_map(
        |(memory, meanwhile, during, cut, refused, blind, dark, then)| Run {
            memory,
            meanwhile,
            during,
            cut,
            refused,
            blind,
            dark,
            then,
        },
    )
}

/// The history of a seed.
fn history(seed: u64) -> (TestRunner, impl ValueTree<Value = History>) {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
    let config = ProptestConfig {
        failure_persistence: None,
        max_shrink_iters: 30_000,
        max_shrink_time: 20_000,
        ..ProptestConfig::default()
    };
    let mut runner = TestRunner::new_with_rng(config, rng);
    let tree = histories().new_tree(&mut runner).expect("a history can be made of any seed");
    (runner, tree)
}

/// How much happened.
#[derive(Debug, Clone, Copy, Default)]
struct Tally {
    days: u64,
    runs: u64,
    cut: u64,
    edits: u64,
}

/// Lives through a history; panics where a promise is broken.
fn live(history: &History, silent: bool) -> Tally {
    let (mut world, mut state, policy) = crowded(history.server.clone());
    (world.silent, world.named) = (silent, history.named);
    let mut evening = 0;
    let kind = world.server.kind.clone();
    let allowed = |edits: &[Edit]| without_marks(edits.to_vec(), &kind);
    let mut evenings = vec![state.clone()];
    let mut tally = Tally::default();
    for (n, day) in history.days.iter().enumerate() {
        // Of the days before, the last is enough.
        world.story.drain(..std::mem::replace(&mut evening, 0));
        evening = world.story.len();
        world.story.push(format!("day {n}"));
        let before = places(&world);
        world.log = Default::default();
        let mut is = chronicle::Day { left: chronicle::left(&state), ..chronicle::Day::default() };
        world.edit_all(&state, &allowed(&day.edits));
        let mut half = false;
        for run in &day.runs {
            match run.memory {
                Memory::Kept => {}
                Memory::Lost => state = State::default(),
                Memory::Old(which) => state = which.get(&evenings).cloned().unwrap_or_default(),
            }
            let forgets = !matches!(run.memory, Memory::Kept);
            is.halves += u32::from(forgets && std::mem::take(&mut half));
            is.forgetful |= forgets;
            world.log.late = true;
            let mut faults = faults(run, &world);
            faults.during.values_mut().for_each(|edits| *edits = allowed(edits));
            faults.dark.iter().for_each(|body| *is.dark.entry(*body).or_default() += 1);
            is.blind |= !faults.blind.is_empty();
            let ended = sync(&mut world, &mut state, policy, &faults, |world, state| {
                world.edit_all(state, &allowed(&run.meanwhile));
            });
            half |= ended.crashed && is.forgetful;
            world.log.between = true;
            world.edit_all(&state, &allowed(&run.then));
            world.log.between = false;
            tally.runs += 1;
            tally.cut += u64::from(ended.crashed);
        }
        let plans = settle(&mut world, &mut state, policy);
        tally.runs += 1 + plans as u64;
        // The fifth is for files that wait until another mailbox has left their new name.
        assert!(plans <= 5, "{plans} plans had something in them\n{}", world.story());
        assert_kept(&before, &world, &state, &is);
        assert_quiet(&world, &state, policy);
        tally.days += 1;
        tally.edits += (world.log.events.len() + world.log.upheavals.len()) as u64;
        evenings.push(state.clone());
    }
    tally
}

fn faults(run: &Run, world: &World) -> Faults {
    let bodies = |one_in: Option<u32>| -> std::collections::BTreeSet<Body> {
        let all = [Side::Local, Side::Remote].map(|side| world.messages(side)).concat();
        let chosen = all.iter().map(|at| world.at(at).0).filter(|body| one_in.is_some_and(|n| body % n == 0));
        chosen.collect()
    };
    let mut during: std::collections::BTreeMap<usize, Vec<Edit>> = Default::default();
    for (at, edit) in &run.during {
        during.entry(*at).or_default().push(edit.clone());
    }
    let side = |local: bool| if local { Side::Local } else { Side::Remote };
    Faults {
        crash_at: run.cut.map(|cut| cut.at),
        unwritten: run.cut.map_or(0, |cut| cut.unwritten),
        during,
        bad: bodies(run.refused),
        blind: run.blind.iter().map(|(local, n)| (side(*local), mailbox(*n))).collect(),
        dark: bodies(run.dark),
    }
}

fn message(panic: Box<dyn std::any::Any + Send>) -> String {
    let text = panic.downcast_ref::<String>().cloned();
    text.or_else(|| panic.downcast_ref::<&str>().map(|s| (*s).to_owned())).unwrap_or_default()
}

/// The command that lives through a history again.
fn again(seed: u64) -> String {
    format!("MAILTIDE_HISTORY={seed} cargo test --test it histories")
}

/// Whether a history fails, and how.
fn outcome(history: &History, silent: bool) -> Result<Tally, String> {
    quietly::run(|| catch_unwind(AssertUnwindSafe(|| live(history, silent)))).map_err(message)
}

/// Lives through the histories of `seeds`, on all cores, and names those that fail; of many, the first is made small.
fn search(seeds: &[u64], most: usize) {
    let (next, total) = (AtomicUsize::new(0), Mutex::new(Tally::default()));
    let failed = Mutex::new(Vec::new());
    let work = || {
        while failed.lock().unwrap().len() < most {
            let done = next.fetch_add(1, Ordering::Relaxed);
            let Some(seed) = seeds.get(done).copied() else { return };
            match outcome(&history(seed).1.current(), true) {
                Ok(tally) => {
                    let mut total = total.lock().unwrap();
                    total.days += tally.days;
                    total.runs += tally.runs;
                    total.cut += tally.cut;
                    total.edits += tally.edits;
                    if done > 0 && done.is_multiple_of(1000) {
                        eprintln!("{done} of {} histories: {total:?}", seeds.len());
                    }
                }
                Err(why) => {
                    let what: String = why.lines().next().unwrap_or_default().chars().take(300).collect();
                    eprintln!("{}: {what}", again(seed));
                    failed.lock().unwrap().push(seed);
                }
            }
        }
    };
    let workers = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| (0..workers).for_each(|_| _ = scope.spawn(work)));
    eprintln!("{} histories: {:?}", seeds.len(), total.lock().unwrap());
    let failed = failed.into_inner().unwrap();
    failed.iter().min().copied().into_iter().for_each(replay);
    assert!(failed.is_empty(), "{} histories failed", failed.len());
}

/// Lives through one history; where it fails, through the smallest that can be found that fails as well.
fn replay(seed: u64) {
    let (mut runner, tree) = history(seed);
    // The smallest must fail in the same way.
    let kind = |why: &str| why.split_whitespace().take(2).collect::<Vec<_>>().join(" ");
    let Err(first) = outcome(&tree.current(), true) else { return };
    let test = |history: History| match outcome(&history, true) {
        Err(why) if kind(&why) == kind(&first) => Err(TestCaseError::fail(why)),
        Ok(_) | Err(_) => Ok(()),
    };
    if let Err(proptest::test_runner::TestError::Fail(_, smallest)) = runner.run_one(tree, test) {
        let why = outcome(&smallest, false).expect_err("it failed a moment ago");
        let days: Vec<String> = smallest.days.iter().map(|day| format!("{day:?}")).collect();
        let (History { server, named, .. }, days) = (smallest, days.join("\n"));
        panic!("{}\n{server:?}, named: {named}\n{days}\n{why}\n{}", again(seed), again(seed));
    }
}

/// Panics that are looked for are not printed.
mod quietly {
    use std::cell::Cell;
    use std::sync::Once;

    thread_local! {
        static QUIET: Cell<bool> = const { Cell::new(false) };
    }

    pub fn run<T>(work: impl FnOnce() -> T) -> T {
        static HOOK: Once = Once::new();
        HOOK.call_once(|| {
            let usual = std::panic::take_hook();
            std::panic::set_hook(Box::new(move |info| {
                if !QUIET.get() {
                    usual(info)
                }
            }));
        });
        QUIET.set(true);
        let result = work();
        QUIET.set(false);
        result
    }
}

#[test]
fn histories_keep_every_promise() {
    let asked = |name| std::env::var(name).ok();
    let number = |text: &str| text.parse::<u64>().expect("a number");
    let all = |seeds: std::ops::Range<u64>| search(&seeds.collect::<Vec<_>>(), MOST_FAILURES);
    match (asked("MAILTIDE_HISTORY"), asked("MAILTIDE_HISTORIES")) {
        (Some(seed), _) => replay(number(&seed)),
        (None, Some(many)) => match (many.split_once(".."), many.contains(',')) {
            (Some((from, to)), _) => all(number(from)..number(to)),
            (None, true) => search(&many.split(',').map(number).collect::<Vec<_>>(), usize::MAX),
            (None, false) => all(0..number(&many)),
        },
        (None, None) => search(&(0..IN_CI).chain(FOUND.iter().copied()).collect::<Vec<_>>(), MOST_FAILURES),
    }
}
