//! Services: how long they take to answer each other, against what the client's kernel measured itself, and how
//! connections are spread over replicas and fail, against what client and kernel counted.

mod alias;
mod delay;
mod failures;
mod first_byte;
mod latency;
mod mtu;
mod reopened;
mod replicas;
mod rig;
mod trouble;
mod unseen;
