#include <stdio.h>
int main(void) { puts("front, first edition"); return 0; }
