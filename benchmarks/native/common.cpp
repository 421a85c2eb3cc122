// The pointers to BLAS and LAPACK, and the loop that times a function without Python around it.
#include "common.h"

gemm64 dgemm_;
gemm32 sgemm_;
gemv64 dgemv_;
gemv32 sgemv_;
potrf64 dpotrf_, dpotri_;

extern "C" void set_blas(void** p) {
    dgemm_ = (gemm64)p[0];
    sgemm_ = (gemm32)p[1];
    dgemv_ = (gemv64)p[2];
    sgemv_ = (gemv32)p[3];
    dpotrf_ = (potrf64)p[4];
    dpotri_ = (potrf64)p[5];
}

extern "C" void repeat(void (*f)(void**, void**, const i64*), void** in, void** out, const i64* n, i64 times) {
    for (i64 k = 0; k < times; k++) f(in, out, n);
}
