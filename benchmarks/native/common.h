// What the hand-written gradients share. Every function takes pointers to its inputs, pointers to its outputs (the value,
// then the gradients) and a list of integers; it fills the outputs completely and allocates nothing once it has run.
#pragma once
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <vector>

typedef int64_t i64;
#define R __restrict

template <class T> static inline T* array(void** p, int k) { return static_cast<T*>(p[k]); }

// Memory that grows to what is asked for and stays; one piece a place in the text.
#define SCRATCH(T, name, count)                                     \
    static std::vector<T> name##_memory;                            \
    if (name##_memory.size() < size_t(count)) name##_memory.resize(count); \
    T* R name = name##_memory.data()

#define EXPORT(name)                                                                                     \
    extern "C" void name##_f64(void** in, void** out, const i64* n) { name<double>(in, out, n); }        \
    extern "C" void name##_f32(void** in, void** out, const i64* n) { name<float>(in, out, n); }

// BLAS and LAPACK of SciPy, by pointer, so that everybody uses the same
typedef void (*gemm64)(const char*, const char*, const int*, const int*, const int*, const double*, const double*,
                       const int*, const double*, const int*, const double*, double*, const int*);
typedef void (*gemm32)(const char*, const char*, const int*, const int*, const int*, const float*, const float*,
                       const int*, const float*, const int*, const float*, float*, const int*);
typedef void (*gemv64)(const char*, const int*, const int*, const double*, const double*, const int*, const double*,
                       const int*, const double*, double*, const int*);
typedef void (*gemv32)(const char*, const int*, const int*, const float*, const float*, const int*, const float*,
                       const int*, const float*, float*, const int*);
typedef void (*potrf64)(const char*, const int*, double*, const int*, int*);
extern gemm64 dgemm_;
extern gemm32 sgemm_;
extern gemv64 dgemv_;
extern gemv32 sgemv_;
extern potrf64 dpotrf_, dpotri_;

// c (m x n) = a (m x k) b (k x n) + beta c, row by row in memory; ta, tb: the operand is stored transposed
static inline void matmul(bool ta, bool tb, int m, int n, int k, const double* a, const double* b, double beta, double* c) {
    double one = 1;
    int lda = ta ? m : k, ldb = tb ? k : n;
    dgemm_(tb ? "T" : "N", ta ? "T" : "N", &n, &m, &k, &one, b, &ldb, a, &lda, &beta, c, &n);
}
static inline void matmul(bool ta, bool tb, int m, int n, int k, const float* a, const float* b, float beta, float* c) {
    float one = 1;
    int lda = ta ? m : k, ldb = tb ? k : n;
    sgemm_(tb ? "T" : "N", ta ? "T" : "N", &n, &m, &k, &one, b, &ldb, a, &lda, &beta, c, &n);
}
