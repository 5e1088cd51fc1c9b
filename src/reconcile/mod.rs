//! The specification: base + what was observed + policy → plan. Pure: no I/O, clock, randomness, threads, logging.

pub mod guard;
pub mod plan;
pub mod view;

pub use plan::{Action, Disposal, Phase, Plan, Side};
