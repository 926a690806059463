"""Kernels for the CPU: LLVM IR as text, compiled with llvmlite."""
