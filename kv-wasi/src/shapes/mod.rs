//! One file for each shape: its traits over what the shapes have in common.

mod cache;
mod draft;
mod draft2;
mod golem_2023;
mod store;
mod v0_1_0;
mod value;
