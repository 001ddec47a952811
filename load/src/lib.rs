//! Loads a running Parlor and checks what it answered.
//!
//! [`load()`] is what `parlor load` does. It is made of parts that the measurements in `bench` use as well: [`World`] makes people and conversations; [`drive()`] sends requests of a [`Mix`] in a closed or an open loop and gives an
//! [`Outcome`]; [`verify()`] reads back what was acknowledged.

pub mod cpu;
pub mod http;
pub mod plot;
pub mod text;

mod command;
mod connection;
mod drive;
mod live;
mod outcome;
mod pace;
mod progress;
mod ramp;
mod report;
mod timer;
mod verify;
mod work;
mod world;

pub use command::{Arguments, load};
pub use drive::{Options, Watch, drive, run};
pub use live::{Heard, Listening, Socket};
pub use outcome::{Acknowledged, Of, Outcome, Second, fingerprint, histogram, millis};
pub use pace::Pace;
pub use ramp::{Step, ramp};
pub use verify::{Verified, verify};
pub use work::{Kind, Mix};
pub use world::{Person, Room, Size, World};
