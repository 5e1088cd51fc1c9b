//! The planner's promises: cases by name, and random histories in a simulated world.

mod cases;
mod properties;
mod world;
