//! Does this device compute right? Known answers, for a person with a new GPU and for a driver's author.

pub mod operations;
