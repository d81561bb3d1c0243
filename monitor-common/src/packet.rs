//! The only packet parser: the kernel programs, the tests and the fuzzer all run this one.
