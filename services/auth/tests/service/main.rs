//! The whole auth service, over HTTP and on a store on disk.

#[cfg(test)]
mod alike;
#[cfg(test)]
mod http;
#[cfg(test)]
mod secrets;
#[cfg(test)]
mod support;
