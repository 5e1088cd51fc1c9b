//! A simulated world: a tree, a server, a state and an executor over them, all in memory and all cut short at will.
//!
//! The executor does what the real one has to do (facts after effects, one item at a time, checkpoints only where
//! nothing is open), so these properties hold the planner to its promise: nothing lost, nothing doubled, nothing
//! deleted comes back, and a second plan with nothing in it.
//!
//! | command | what it does |
//! | --- | --- |
//! | `cargo test --test it sim::` | the same cases each time, 300 histories, and those that failed once |
//! | `MAILTIDE_SOAK=20 cargo test --test it sim::` | twenty times as many cases of each property, others each time |
//! | `MAILTIDE_HISTORIES=100000 cargo test --test it histories -- --nocapture` | the histories of the seeds below, on all cores; tells how far it is |
//! | `MAILTIDE_HISTORIES=100000..200000 cargo test …` | those of other seeds |
//! | `MAILTIDE_HISTORIES=12,345,6789 cargo test …` | these, all of them, however many fail |
//! | `MAILTIDE_HISTORY=12345 cargo test --test it histories` | the history of one seed; when it fails, made as small as it can be, with its story |
//!
//! What a failure taught about the planner becomes a named test in `src/reconcile/tests/found.rs`.

mod apply;
mod checkpoint;
mod chronicle;
mod delete;
mod edit;
mod execute;
mod histories;
mod interrupted;
mod journal;
mod log;
mod moving;
mod moving_interrupted;
mod observe;
mod promises;
mod properties;
mod relocate;
mod rename;
mod same;
mod server;
mod standing;
mod state;
mod symmetry;
mod transfer;
mod twice;
mod world;
