/* The compiled part: the sum of squares below n. */
#define PY_SSIZE_T_CLEAN
#include <Python.h>

static PyObject *squares(PyObject *self, PyObject *argument) {
    (void)self;
    unsigned long long n = PyLong_AsUnsignedLongLong(argument), sum = 0;
    if (PyErr_Occurred()) return NULL;
    for (unsigned long long i = 0; i < n; i++) sum += i * i;
    return PyLong_FromUnsignedLongLong(sum);
}

static PyMethodDef methods[] = {
    {"squares", squares, METH_O, "The sum of the squares of the numbers below n."},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "fastsum", NULL, -1, methods, NULL, NULL, NULL, NULL};

PyMODINIT_FUNC PyInit_fastsum(void) { return PyModule_Create(&module); }
