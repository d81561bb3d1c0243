//! Services: how long they take to answer each other, against what the client's kernel measured itself, and how
//! connections are spread over replicas, against what the client counted.

mod delay;
mod latency;
mod replicas;
mod rig;
