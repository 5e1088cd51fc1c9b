//! A simulated world: a tree, a server, a state and an executor over them, all in memory and all cut short at will.
//!
//! The executor does what the real one has to do (facts after effects, one item at a time, checkpoints only where
//! nothing is open), so these properties hold the planner to its promise: nothing lost, nothing doubled, nothing
//! deleted comes back, and a second plan with nothing in it.

mod apply;
mod delete;
mod edit;
mod execute;
mod interrupted;
mod moving;
mod moving_interrupted;
mod observe;
mod promises;
mod properties;
mod relocate;
mod rename;
mod same;
mod server;
mod state;
mod symmetry;
mod world;
