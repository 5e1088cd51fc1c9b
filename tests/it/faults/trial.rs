//! One fault: what the run that meets it may end with, and what has to be there after the next.

use std::collections::BTreeSet;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;

use super::scenarios::Scenario;
use super::world::{NONE, Sides, World};
use crate::world::compare::assert_same;
use crate::world::process::Outcome;

/// A kind of fault, as `src/faults` has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Kill,
    Cut,
    Down,
    Disk { name: &'static str, says: &'static str },
}

/// The kinds, and which part of the steps is tried with each ordinarily: one in so many.
const KINDS: [(Kind, usize); 8] = [
    (Kind::Kill, 4),
    (Kind::Cut, 8),
    (Kind::Down, 24),
    (Kind::Disk { name: "ENOSPC", says: "No space left|full" }, 16),
    (Kind::Disk { name: "EIO", says: "Input/output error|disk I/O error" }, 16),
    (Kind::Disk { name: "EACCES", says: "Permission denied|access permission" }, 16),
    (Kind::Disk { name: "EROFS", says: "Read-only file system|readonly" }, 16),
    (Kind::Disk { name: READ_ONLY_TREE, says: "Read-only file system" }, 16),
];

/// The tree alone cannot be written; what is put on disk or recorded goes through.
const READ_ONLY_TREE: &str = "EROFS-tree";

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Kind::Kill => "kill",
            Kind::Cut => "cut",
            Kind::Down => "down",
            Kind::Disk { name, .. } => name,
        }
    }

    /// Whether it can hit a step.
    fn hits(self, step: &str) -> bool {
        let is_line = ["Send", "Hear"].contains(&step);
        match self {
            Kind::Kill => true,
            Kind::Cut | Kind::Down => is_line,
            Kind::Disk { name: "ENOSPC", .. } => !is_line && !["Remove", "RemoveDirectory", "Protect"].contains(&step),
            Kind::Disk { name: READ_ONLY_TREE, .. } => {
                !is_line && !["Flush", "FlushDirectory", "Commit"].contains(&step)
            }
            Kind::Disk { .. } => !is_line,
        }
    }

    /// Whether the run could do nothing against leaving a temporary file.
    fn leaves_files(self) -> bool {
        matches!(self, Kind::Kill | Kind::Disk { name: "EROFS" | READ_ONLY_TREE, .. })
    }

    /// Fails unless a run that met the fault at this step may end so.
    #[track_caller]
    fn check_end(self, step: &str, outcome: &Outcome, context: &str) {
        let code = outcome.status.code();
        let good = match self {
            Kind::Kill => outcome.status.signal() == Some(9),
            // A line that was lost once is made up for in the same run.
            Kind::Cut => code == Some(0) || code == Some(5),
            // 0 where only the farewell was lost.
            Kind::Down => code == Some(5) || code == Some(0),
            // Nothing a run does afterwards makes up for it: what was to be on disk may not be there.
            Kind::Disk { .. } if ["Flush", "FlushDirectory", "Commit"].contains(&step) => matches!(code, Some(1 | 3)),
            Kind::Disk { .. } => matches!(code, Some(0 | 1 | 3)),
        };
        let said = format!("{}\n{}", outcome.stdout, outcome.stderr);
        assert!(good, "{context}: {}\n{said}", outcome.status);
        assert!(!said.contains("panicked"), "{context}: {said}");
        if let (Kind::Disk { says, .. }, Some(1 | 3)) = (self, code) {
            assert!(says.split('|').any(|words| said.contains(words)), "{context}: nothing tells why:\n{said}");
        }
    }
}

/// The steps of a whole run and what it ends in.
struct Whole {
    steps: Vec<String>,
    end: Sides,
    directories: BTreeSet<PathBuf>,
}

/// Runs a scenario, then once more for each fault.
pub fn every_step(scenario: &Scenario) {
    let world = World::new(scenario);
    (scenario.before)(&world);
    if scenario.synced_before {
        world.sync(NONE, &[]).0.expect(0);
    }
    (scenario.edits)(&world);
    world.keep();
    let whole = whole(&world, scenario);
    let only = std::env::var("MAILTIDE_FAULTS").ok();
    let soak = std::env::var_os("MAILTIDE_SOAK").is_some();
    let seed = fastrand::usize(..1000);
    let mut tried = Vec::new();
    for (kind, every) in KINDS {
        let steps: Vec<&String> = whole.steps.iter().filter(|step| kind.hits(step)).collect();
        let every = if soak || only.is_some() { 1 } else { every };
        let mut hit = 0;
        for (n, step) in steps.iter().enumerate().skip(seed % every).step_by(every) {
            let fault = format!("{}@{}", kind.name(), n + 1);
            if only.as_ref().is_none_or(|only| *only == fault || only == kind.name()) {
                hit +=
                    usize::from(trial(&world, &whole, kind, &fault, &format!("{}: {fault} ({step})", scenario.name)));
            }
        }
        tried.push(format!("{} {hit}/{}", kind.name(), steps.len()));
    }
    eprintln!("faults: {}: {}", scenario.name, tried.join(", "));
}

/// A run without any fault, and one more that has nothing to do.
fn whole(world: &World, scenario: &Scenario) -> Whole {
    let name = scenario.name;
    world.put_back();
    assert!(!world.planned().is_empty(), "{name}: there is nothing to do");
    let (outcome, steps) = world.sync("kill@0", &[]);
    outcome.expect(0);
    world.quiet();
    let end = world.sides();
    if scenario.ends_equal {
        assert_same(("local", &end.local), ("server", &end.remote), name);
    }
    world.assert_files_tell();
    (scenario.end)(&end);
    let planned = world.planned();
    assert!(planned.is_empty(), "{name}: the second plan is not empty: {planned:#?}");
    world.sync(NONE, &[]).0.expect(0);
    world.quiet();
    assert_eq!(world.sides(), end, "{name}: the second run did something");
    assert!(world.leftovers().is_empty(), "{name}: {:?}", world.leftovers());
    Whole { steps, end, directories: world.directories() }
}

/// A run with a fault, and the next one; whether the fault was met.
#[track_caller]
fn trial(world: &World, whole: &Whole, kind: Kind, fault: &str, context: &str) -> bool {
    world.put_back();
    let (outcome, steps) = world.sync(fault, &[]);
    let at: usize = fault.split('@').nth(1).unwrap().parse().unwrap();
    if steps.len() < at {
        // Which thread comes first is not the same in every run.
        outcome.expect(0);
        return false;
    }
    kind.check_end(&steps[at - 1], &outcome, context);
    world.quiet();
    if outcome.status.code() != Some(0) {
        let (again, _) = world.sync(NONE, &[]);
        assert_eq!(again.code(), 0, "{context}: the next run\n{}\n{}", again.stdout, again.stderr);
        world.quiet();
    }
    let end = world.sides();
    let said = format!("{context}\n{}{}", outcome.stdout, outcome.stderr);
    assert_same(("local now", &end.local), ("local without the fault", &whole.end.local), &said);
    assert_same(("server now", &end.remote), ("server without the fault", &whole.end.remote), &said);
    let planned = world.planned();
    assert!(planned.is_empty(), "{context}: something is left to do: {planned:#?}");
    assert_eq!(world.directories(), whole.directories, "{context}: directories");
    let leftovers = world.leftovers();
    let ours = leftovers.iter().all(|path| path.to_string_lossy().ends_with(".mailtide-tmp"));
    assert!(leftovers.is_empty() || kind.leaves_files() && ours, "{context}: left behind: {leftovers:?}");
    true
}
