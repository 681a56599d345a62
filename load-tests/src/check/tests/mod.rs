//! Every kind of violation is planted, one at a time, into a run that is clean, and has to be reported by its name.

mod run;
mod sends;
mod views;
mod whole;
