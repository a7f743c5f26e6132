int maze(const int *p, int n);

int maze(const int *p, int n)
{
    int sum = 0;

    for (int i = 0; i < n; i++) {
        if (p[i] > 0) {
            if (p[i] > 10 && i > 2) {
                sum += p[i] > 100 ? 1 : 2;
            } else if (p[i] == 7 || p[i] == 8) {
                sum += 3;
            }
        } else if (p[i] < -10) {
            sum -= i > 5 ? 1 : 2;
        } else {
            sum--;
        }
    }
    return sum;
}
