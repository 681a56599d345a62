//! Honest clients for Hubbub, and the private servers that tests run against.

pub mod autoscale;
pub mod chaos;
pub mod check;
pub mod cli;
pub mod client;
pub mod compare;
pub mod faults;
pub mod fleet;
pub mod group;
pub mod journal;
pub mod lab;
pub mod measure;
pub mod plan;
pub mod play;
pub mod player;
pub mod proxy;
pub mod rehearse;
pub mod report;
pub mod rolling;
pub mod scenario;
mod signals;
pub mod smoke;
pub mod stage;
pub mod view;
